package audit

import (
	"cmp"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/kelisim/kelisim/internal/oncall/output"
)

// History is what was done, in the order in which it began: one entry for each
// act, its end where that is known.
type History struct {
	Acts       []Entry `json:"acts"`
	Unreadable int     `json:"unreadable"` // records that are no entries

	at map[string]int // of an act in Acts
}

// Add takes a further entry, in the order of the log.
func (h *History) Add(e Entry) {
	i, known := h.at[e.Act]
	if known {
		h.Acts[i] = e
		return
	}
	if h.at == nil {
		h.at = make(map[string]int)
	}
	h.at[e.Act] = len(h.Acts)
	h.Acts = append(h.Acts, e)
}

// Keep drops what the function does not want.
func (h *History) Keep(wanted func(*Entry) bool) {
	h.Acts = slices.DeleteFunc(h.Acts, func(e Entry) bool { return !wanted(&e) })
	h.at = nil
}

// Text implements [output.Result].
func (h *History) Text(w io.Writer) {
	output.Columns(w, []string{"BEGUN", "PHASE", "OPERATOR", "COMMAND", "RESULT", "REASON", "PLAN"}, func(yield func([]string) bool) {
		for _, e := range h.Acts {
			who := e.Operator
			if e.Approver != "" {
				who += "+" + e.Approver
			}
			row := []string{
				e.Begun.UTC().Format(time.RFC3339), string(e.Phase), who, e.Command,
				cmp.Or(e.Error, e.Result, "-"), e.Reason, short(e.Plan),
			}
			if !yield(row) {
				return
			}
		}
	})
}

// short is enough of a hash to tell two plans apart.
func short(hash string) string { return hash[:min(len(hash), len("sha256:")+12)] }

// Parts implements [output.Many].
func (h *History) Parts() iter.Seq[any] {
	return func(yield func(any) bool) {
		for i := range h.Acts {
			if !yield(&h.Acts[i]) {
				return
			}
		}
	}
}
