package settings

import (
	"cmp"
	"fmt"
	"io"
	"reflect"
	"text/tabwriter"
)

// Value is one setting as people are shown it: of a secret only that it is set.
type Value struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// Values returns every setting of the configuration with its value and where
// that comes from. Of a secret it says only whether it is set.
func (l *Loaded) Values(config any) []Value {
	v := reflect.ValueOf(config)
	out := make([]Value, 0, len(l.all))
	for _, s := range l.all {
		value := show(v.FieldByIndex(s.index).Interface())
		if s.Secret && value != "" {
			value = "set"
		}
		out = append(out, Value{s.Key, value, l.Origin(s.Key)})
	}
	return out
}

// Print writes the same as a table.
func (l *Loaded) Print(w io.Writer, config any) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KEY\tVALUE\tFROM") // kept by the table until Flush
	for _, v := range l.Values(config) {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", v.Key, cmp.Or(v.Value, "-"), v.From)
	}
	return table.Flush()
}

// Document writes the table of all settings in Markdown. Flags and variables
// follow from the keys; of a secret only the variable is there.
func Document(w io.Writer, all []Setting) error {
	if _, err := fmt.Fprint(w, "| key | default | what it is |\n| --- | --- | --- |\n"); err != nil {
		return err
	}
	for _, s := range all {
		key, def := s.Key, ""
		if s.Secret {
			key = s.Env()
		}
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		if _, err := fmt.Fprintf(w, "| `%s` | %s | %s |\n", key, def, s.Help); err != nil {
			return err
		}
	}
	return nil
}
