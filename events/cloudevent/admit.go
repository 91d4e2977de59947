package cloudevent

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka"
)

// Contract holds the data of an event, parsed, to what its type allows, and names the
// members that it is against, with a dot between a member and one in it. Package schemas
// has the one to use, schemas.Data. It stands to the right of the codec, so who wires an
// encoder hands it over.
type Contract func(eventType string, data any) (members []string, err error)

// errNoContract refuses to encode without saying what data may be.
var errNoContract = errors.New("the encoder has no contract for data: give it schemas.Data, or say AnyData")

// admit holds data to the contract, which is closed: what a producer says beyond it, a
// telephone number perhaps, would stand in the log for ten years. The attributes need
// none: what is written is read back.
//
// With schemas it costs about twice as much as the rest of the encoding
// (BenchmarkEncode), and what is published is never in such a hurry as what is read.
func (n Encoder) admit(t events.Type, data []byte) error {
	switch {
	case n.AnyData:
		return nil
	case n.Data == nil:
		return errNoContract
	}
	var document any
	switch {
	case !utf8.Valid(data):
		return refuse(cekafka.BadUTF8, "data")
	case json.Unmarshal(data, &document) != nil:
		return refuse(cekafka.JSON, "data")
	case membersOf(document) != colons(data):
		return refuse(cekafka.DuplicateAttribute, "data")
	}
	members, err := n.Data(t.String(), document)
	if err != nil {
		return fmt.Errorf("contract for data: %w", err)
	}
	if len(members) > 0 {
		named := make([]string, len(members))
		for i, m := range members {
			named[i] = strings.TrimSuffix("data."+m, ".")
		}
		return refuse(DataOutsideSchema, strings.Join(named, ", "))
	}
	return nil
}

// membersOf counts the members of all objects of a document. A parser keeps the last
// of two with one name, and a schema sees what the parser kept.
func membersOf(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, inner := range v {
			n += membersOf(inner)
		}
	case []any:
		for _, inner := range v {
			n += membersOf(inner)
		}
	}
	return n
}

// colons counts those of a JSON text that stand outside of strings: as many as there
// are members.
func colons(text []byte) (n int) {
	inside := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case c == ':' && !inside:
			n++
		}
	}
	return n
}
