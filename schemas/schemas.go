// Package schemas holds the JSON Schemas (2020-12) of Kelisim's events, one for
// each type, one for the catalogue of a policy and one for an activity, and examples of them. They describe events in
// the JSON format of CloudEvents. In binary mode the attributes are headers and data is the value
// of the record.
//
// The schemas are closed, for producers and for admission: an unknown member of
// data is refused. Encoders are given [Data] and hold data to them. Consumers must
// not use them: they ignore what they do not know, so that producers can be a version
// ahead.
//
// It imports nothing of ours. A test keeps the schemas, the types of package events and
// the codec in step.
package schemas

import (
	"embed"
	"io/fs"
	"strings"
)

// Base is what the $id of every schema begins with; the name of its file
// follows.
const Base = "https://kelisim.io/schemas/"

// typePrefix is what the name of every event type begins with. The names of the
// files leave it out.
const typePrefix = "io.kelisim."

//go:embed *.json examples
var files embed.FS

// FS returns all files: the schemas at the top, good examples in examples and
// bad ones in examples/invalid; catalogues of policies in examples/catalogues,
// activities in examples/activities.
func FS() fs.FS { return files }

// ForType returns the schema of the event type with the given CloudEvents name,
// or ok false when there is none. The schema refers to envelope.v1.json.
func ForType(name string) (schema []byte, ok bool) {
	short, ours := strings.CutPrefix(name, typePrefix)
	if !ours {
		return nil, false
	}
	schema, err := files.ReadFile(short + ".json")
	return schema, err == nil
}
