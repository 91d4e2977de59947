package cekafka

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checkJSON holds a structured event to the JSON event format as far as the
// SDK does not: one object, no member twice, names and types of the attributes.
// The rest (which attributes must be there, times, URIs) is the SDK's.
func checkJSON(text []byte) error {
	if !utf8.Valid(text) {
		return malformed(BadUTF8, "")
	}
	members, err := topMembers(text)
	if err != nil {
		return err
	}
	var version string
	if raw, has := members.get("specversion"); !has || json.Unmarshal(raw, &version) != nil {
		return malformed(NoSpecVersion, "")
	}
	count := 0
	for _, m := range members {
		if m.name == "data" || m.name == "data_base64" {
			continue
		}
		if err := checkAttribute(m.name, m.raw); err != nil {
			return err
		}
		if count++; count > MaxAttributes {
			return malformed(TooManyAttributes, "")
		}
	}
	if version == "0.3" {
		return checkDataV03(members)
	}
	return checkData(members)
}

// members are those of a JSON object, in its order.
type members []member

type member struct {
	name string
	raw  json.RawMessage
}

func (all members) get(name string) (json.RawMessage, bool) {
	for _, m := range all {
		if m.name == name {
			return m.raw, true
		}
	}
	return nil, false
}

// topMembers splits one JSON object.
func topMembers(text []byte) (members, error) {
	bad := malformed(JSON, "")
	in := json.NewDecoder(bytes.NewReader(text))
	if open, err := in.Token(); err != nil || open != json.Delim('{') {
		return nil, bad
	}
	var all members
	for in.More() {
		token, err := in.Token()
		name, isName := token.(string)
		if err != nil || !isName {
			return nil, bad
		}
		if _, twice := all.get(name); twice {
			return nil, malformed(DuplicateAttribute, name)
		}
		if len(all) > MaxAttributes { // the data comes on top
			return nil, malformed(TooManyAttributes, "")
		}
		var raw json.RawMessage
		if in.Decode(&raw) != nil {
			return nil, bad
		}
		all = append(all, member{name, raw})
	}
	if _, err := in.Token(); err != nil { // the closing brace
		return nil, bad
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, bad
	}
	return all, nil
}

// checkAttribute: a string, a boolean, a 32-bit integer, or null for unset.
func checkAttribute(name string, raw json.RawMessage) error {
	if !ValidName(name) {
		return malformed(BadName, name)
	}
	switch raw[0] {
	case 't', 'f', 'n':
		return nil
	case '"':
		return checkText(name, raw)
	}
	if _, err := strconv.ParseInt(string(raw), 10, 32); err != nil {
		return malformed(BadValue, name)
	}
	return nil
}

// checkText refuses an escaped half of a surrogate pair. Parsers put U+FFFD in
// its place, and two different ids would become one.
func checkText(name string, raw json.RawMessage) error {
	if !bytes.Contains(raw, []byte(`\u`)) {
		return nil
	}
	var text string
	if json.Unmarshal(raw, &text) != nil || strings.ContainsRune(text, utf8.RuneError) {
		return malformed(BadUTF8, name)
	}
	return nil
}

// checkData: the JSON format allows data or data_base64, never both.
func checkData(all members) error {
	encoded, has := all.get("data_base64")
	if !has {
		return nil
	}
	if _, both := all.get("data"); both {
		return malformed(DuplicateAttribute, "data")
	}
	return checkBase64(encoded, "data_base64")
}

// checkDataV03: before 1.0 an attribute said that data is base64.
func checkDataV03(all members) error {
	if _, has := all.get("data_base64"); has {
		return malformed(BadName, "data_base64")
	}
	encoding, has := all.get("datacontentencoding")
	if !has {
		return nil
	}
	if string(encoding) != `"base64"` {
		return malformed(BadValue, "datacontentencoding")
	}
	if data, has := all.get("data"); has {
		return checkBase64(data, "data")
	}
	return nil
}

func checkBase64(raw json.RawMessage, name string) error {
	var text string
	if raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return malformed(BadValue, name)
	}
	if _, err := base64.StdEncoding.DecodeString(text); err != nil {
		return malformed(BadValue, name)
	}
	return nil
}
