package policy

import (
	"encoding/json"
	"fmt"
)

// JSON returns all versions, in order of publication, as [ReadBook] reads them.
func (b *Book) JSON() ([]byte, error) {
	all := make([]json.RawMessage, 0, len(b.all()))
	for _, p := range b.all() {
		text, err := p.JSON()
		if err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return json.Marshal(all)
}

// ReadBook reads what [Book.JSON] wrote. Members that it does not know are ignored,
// as by [FromEvent]. What the versions grew out of is not in the text.
func ReadBook(text []byte) (*Book, error) {
	var all []json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("policies: want a list of catalogues: %w", err)
	}
	b := new(Book)
	for i, text := range all {
		c, err := read(text, false)
		if err == nil {
			b, err = b.With(c)
		}
		if err != nil {
			return nil, fmt.Errorf("policies: catalogue %d: %w", i, err)
		}
	}
	return b, nil
}
