package parked

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

// Detail is one case with its bytes, as far as they may be seen.
type Detail struct {
	Case     *Case    `json:"case"`
	Fault    string   `json:"fault"` // what is wrong with it today; "" when it would be applied
	Revealed bool     `json:"revealed"`
	Key      string   `json:"key"`
	Headers  []header `json:"headers"`
	Bytes    int      `json:"bytes"` // of the value
	Hash     string   `json:"hash"`  // of the value, SHA-256
	Value    string   `json:"value,omitempty"`
}

type header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// open are the headers that are shown as they are: they are the contract's own
// words, never a person's. Everything else may be what it should not be.
var open = map[string]bool{
	"ce_specversion": true, "ce_type": true, "ce_source": true, "ce_time": true, "content-type": true, "ce_purposes": true,
	"ce_policyversion": true, "ce_method": true, "ce_ground": true, "ce_reviewby": true, headerFirstPosition: true, headerFirstTime: true, headerAttempt: true,
}

// Show reads a case's bytes. Without reveal, key, value and the headers that may
// name a person are only measured. The value is base64 where it is revealed.
func (d *Desk) Show(ctx context.Context, c *Case, reveal bool) (*Detail, error) {
	all, err := d.originals(ctx, []*Case{c})
	if err != nil {
		return nil, err
	}
	o := all[c.First]
	sum := sha256.Sum256(o.value)
	out := &Detail{Case: c, Revealed: reveal, Key: masked(string(o.key)), Bytes: len(o.value), Hash: hex.EncodeToString(sum[:])}
	for _, h := range o.headers {
		value := string(h.Value)
		if !reveal && !open[h.Key] {
			value = masked(value)
		}
		out.Headers = append(out.Headers, header{shown(h.Key), shown(value)})
	}
	if reveal {
		out.Key, out.Value = shown(string(o.key)), base64.StdEncoding.EncodeToString(o.value)
	}
	if out.Fault, err = d.fault(ctx, &o, c, stream.Offsets{}); err != nil {
		return nil, err
	}
	return out, nil
}

// masked tells how long a text is, and nothing else; of a subject, its mask.
func masked(text string) string {
	if s, err := events.ParseSubject(text); err == nil {
		return s.String()
	}
	return strconv.Itoa(len(text)) + " bytes"
}

// Text implements [output.Result].
func (d *Detail) Text(w io.Writer) {
	(&List{Cases: []*Case{d.Case}}).copies(w)
	say := func(format string, args ...any) { fmt.Fprintf(w, format, args...) }
	say("first at %v, appended %s\n", d.Case.First, d.Case.Appended.Time())
	for _, m := range d.Case.Markers {
		say("%s by %s at %s: %s\n", m.Deed, m.Operator, m.Time, m.Reason)
	}
	if d.Fault == "" {
		say("today it would be applied\n")
	} else {
		say("today it would be parked again: %s\n", d.Fault)
	}
	say("key: %s\n", d.Key)
	for _, h := range d.Headers {
		say("%s: %s\n", h.Name, h.Value)
	}
	if len(d.Case.Copies) > 0 && d.Case.Copies[0].LeftOut > 0 {
		say("kept without its bytes, which the parked topic refused: what follows stands in the log of events\n")
	}
	say("value: %d bytes, sha256 %s\n", d.Bytes, d.Hash)
	if d.Revealed {
		if value, err := base64.StdEncoding.DecodeString(d.Value); err == nil {
			say("%q\n", value)
		}
	} else {
		say("--reveal shows key, headers and value, and is recorded\n")
	}
}

// copies writes who parked a case, when and why.
func (l *List) copies(w io.Writer) {
	output.Columns(w, []string{"PARKED", "SERVICE", "REASON", "MET AT", "TRY"}, func(yield func([]string) bool) {
		for _, c := range l.Cases {
			for _, p := range c.Copies {
				if !yield([]string{p.ParkedAt.Time().String(), p.Service, p.Reason, p.Position, strconv.Itoa(p.Attempt)}) {
					return
				}
			}
		}
	})
}
