// Package output prints what a command has to say: one value, as a table for
// people or as JSON or YAML for programs.
//
// What goes through here is a result and belongs on standard output. Progress and
// errors do not.
package output

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Result is what a command has to say. Its JSON form is for programs, and YAML
// is made of it.
type Result interface {
	Text(w io.Writer)
}

// Many is a Result of many parts, which are a line each in JSON Lines.
type Many interface {
	Result
	Parts() iter.Seq[any]
}

// Format is one of the forms.
type Format string

// The forms of --output.
const (
	Table Format = "table"
	JSON  Format = "json"
	Lines Format = "jsonl"
	YAML  Format = "yaml"
)

// Formats returns all forms.
func Formats() []string { return []string{string(Table), string(JSON), string(Lines), string(YAML)} }

// Check says whether there is such a form.
func (f Format) Check() error {
	if slices.Contains(Formats(), string(f)) {
		return nil
	}
	return fmt.Errorf("%q is none of %s", string(f), strings.Join(Formats(), ", "))
}

// Print writes a result.
func (f Format) Print(w io.Writer, r Result) error {
	switch f {
	case Table:
		r.Text(w)
		return nil
	case YAML:
		return printYAML(w, r)
	case Lines:
		return printLines(w, r)
	}
	return encode(w, r, "  ")
}

// Emit writes one of a stream of results, as they come: JSON is a line each, as
// nobody knows how many there will be, and YAML a document each.
func (f Format) Emit(w io.Writer, r Result) error {
	switch f {
	case Table:
		r.Text(w)
		return nil
	case YAML:
		if _, err := io.WriteString(w, "---\n"); err != nil {
			return err
		}
		return printYAML(w, r)
	}
	return encode(w, r, "")
}

func printLines(w io.Writer, r Result) error {
	many, ok := r.(Many)
	if !ok {
		return encode(w, r, "")
	}
	for part := range many.Parts() {
		if err := encode(w, part, ""); err != nil {
			return err
		}
	}
	return nil
}

func encode(w io.Writer, v any, indent string) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", indent)
	return out.Encode(v)
}

// printYAML writes the JSON form as YAML, so that names and order are the same.
func printYAML(w io.Writer, r Result) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil { // JSON is YAML
		return err
	}
	block(&node)
	out := yaml.NewEncoder(w)
	out.SetIndent(2)
	if err := out.Encode(&node); err != nil {
		return err
	}
	return out.Close()
}

// block drops the braces and quotes of JSON, where YAML does not need them.
func block(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && !strings.Contains(n.Value, "\n") {
		n.Style &^= yaml.DoubleQuotedStyle
	}
	for _, child := range n.Content {
		block(child)
	}
}

// Missing says which services have to be there, and have no cache.
func Missing(w io.Writer, services []string) {
	for _, name := range services {
		fmt.Fprintf(w, "%s: redis holds no cache of it\n", name)
	}
}

// Columns writes rows under a heading, in columns as wide as they need to be. It
// is the table of every command.
func Columns(w io.Writer, heading []string, rows iter.Seq[[]string]) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, strings.Join(heading, "\t")) // kept by the table until Flush
	for row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = Plain(cell)
		}
		_, _ = fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	_ = table.Flush() // where should a failed line to standard output go?
}

// Plain returns a text that came from elsewhere as a terminal may show it: what
// would move the cursor, break the line or hide something is escaped as in Go.
func Plain(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return text
	}
	quoted := strconv.QuoteToGraphic(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
