package output

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type thing struct {
	Name  string   `json:"name"`
	Count int      `json:"count"`
	Lines []string `json:"lines"`
}

func (r thing) Text(w io.Writer) { fmt.Fprintln(w, "a thing:", r.Name) }

type things []thing

func (r things) Text(w io.Writer) {
	Columns(w, []string{"NAME", "COUNT"}, func(yield func([]string) bool) {
		for _, t := range r {
			if !yield([]string{t.Name, fmt.Sprint(t.Count)}) {
				return
			}
		}
	})
}

func (r things) Parts() iter.Seq[any] {
	return func(yield func(any) bool) {
		slices.Values(r)(func(t thing) bool { return yield(t) })
	}
}

var sample = things{{"first", 1, []string{"a: b", "12"}}, {"2", 20, nil}}

func printed(t *testing.T, f Format, r Result) string {
	t.Helper()
	require.NoError(t, f.Check())
	var b strings.Builder
	require.NoError(t, f.Print(&b, r))
	return b.String()
}

func TestOneResultHasAllForms(t *testing.T) {
	require.Equal(t, "NAME   COUNT\nfirst  1\n2      20\n", printed(t, Table, sample))
	require.JSONEq(t, `[{"name":"first","count":1,"lines":["a: b","12"]},{"name":"2","count":20,"lines":null}]`, printed(t, JSON, sample))
	require.Equal(t, `{"name":"first","count":1,"lines":["a: b","12"]}`+"\n"+`{"name":"2","count":20,"lines":null}`+"\n", printed(t, Lines, sample))
	require.Equal(t, `{"name":"2","count":20,"lines":null}`+"\n", printed(t, Lines, sample[1]), "what is one is one line")
}

// A text that looks like a number stays a text.
func TestYAMLSaysWhatJSONSays(t *testing.T) {
	text := printed(t, YAML, sample)
	require.Equal(t, "- name: first\n  count: 1\n  lines:\n    - 'a: b'\n    - \"12\"\n- name: \"2\"\n  count: 20\n  lines: null\n", text)
}

func TestAStreamIsALineEach(t *testing.T) {
	var b strings.Builder
	for _, r := range sample {
		require.NoError(t, JSON.Emit(&b, r))
	}
	require.Equal(t, 2, strings.Count(b.String(), "\n"))
	b.Reset()
	require.NoError(t, Table.Emit(&b, sample[0]))
	require.Equal(t, "a thing: first\n", b.String())
}

func TestOtherFormsAreRefused(t *testing.T) {
	require.EqualError(t, Format("xml").Check(), `"xml" is none of table, json, jsonl, yaml`)
}

func TestWhatOthersWroteMovesNoCursor(t *testing.T) {
	var b strings.Builder
	Columns(&b, []string{"ID"}, slices.Values([][]string{{"a\x1b[2Jb"}, {"line\nbreak\tand \"quotes\""}, {"\u202eevil"}, {"\xff"}, {"Алия 1"}}))
	require.Equal(t, "ID\n"+`a\x1b[2Jb`+"\n"+`line\nbreak\tand "quotes"`+"\n"+`\u202eevil`+"\n"+`\xff`+"\nАлия 1\n", b.String())
}
