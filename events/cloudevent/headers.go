package cloudevent

import (
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// attributesUsually is room for the texts of one event: a withdrawal takes
// about 220 bytes.
const attributesUsually = 320

// headerWriter collects attributes in one piece of memory.
type headerWriter struct {
	text    []byte
	entries []headerEntry
}

// headerEntry is one attribute in text[from:to].
type headerEntry struct {
	slot     slot
	from, to int
}

// begin starts an attribute; what is appended to text belongs to it.
func (w *headerWriter) begin(s slot) {
	w.end()
	w.entries = append(w.entries, headerEntry{slot: s, from: len(w.text)})
}

func (w *headerWriter) end() {
	if n := len(w.entries); n > 0 {
		w.entries[n-1].to = len(w.text)
	}
}

func (w *headerWriter) add(s slot, text string) {
	w.begin(s)
	w.text = append(w.text, text...)
}

func (w *headerWriter) addTime(s slot, m events.Millis) {
	w.begin(s)
	w.text = appendTime(w.text, m)
}

// headers returns what was collected, as the binding names it.
func (w *headerWriter) headers() []stream.Header {
	w.end()
	headers := make([]stream.Header, len(w.entries))
	for i, h := range w.entries {
		headers[i] = stream.Header{Key: h.slot.header(), Value: w.text[h.from:h.to:h.to]}
	}
	return headers
}
