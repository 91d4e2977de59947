// Package settings reads the configuration of a program: flags, environment,
// one YAML file and defaults, in that order of precedence. A program declares
// its settings once, as a struct; flags, variables, file keys, the printed table
// and the documentation all come from it. What is unknown is an error, and so
// is a secret that stands where others can read it.
//
// It knows no setting of its own and leaves judging values to the program. Its
// caller is internal/daemon.
package settings

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Setting is one leaf of a program's configuration.
type Setting struct {
	// Key is its name in the file, with dots: "kafka.tls.ca_file".
	Key string
	// Help is one sentence for people.
	Help string
	// Default is the value when nothing else is given, as it would be written.
	Default string
	// Secret settings are never shown, have no flag and are refused in a file.
	Secret bool

	index []int // of the field
	kind  reflect.Type
}

// envPrefix begins the name of every variable. A variable with it that names no
// setting is an error, so nothing else may use it.
const envPrefix = "KELISIM_"

// Env returns the name of the variable: "KELISIM_KAFKA_TLS_CA_FILE".
func (s Setting) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// Flag returns the name of the flag without dashes: "kafka-tls-ca-file". A
// secret has none: the command lines of a machine are for everyone to read.
func (s Setting) Flag() string {
	if s.Secret {
		return ""
	}
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key)
}

// List returns the settings that the fields of a struct declare, in their order.
// A field is a section (a struct) or a leaf (string, bool, int, duration, list of
// strings); `key` names it, `help` says what it is for and `secret:"true"` hides
// it. A secret x needs a neighbour x_file, the way to give it on disk.
func List(defaults any) ([]Setting, error) {
	v := reflect.ValueOf(defaults)
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("settings: %T is not a struct", defaults)
	}
	var all []Setting
	if err := collect(v, "", nil, &all); err != nil {
		return nil, err
	}
	return all, check(all)
}

func collect(v reflect.Value, section string, index []int, all *[]Setting) error {
	for i := range v.NumField() {
		field, at := v.Type().Field(i), append(index[:len(index):len(index)], i)
		name := field.Tag.Get("key")
		if name == "" {
			return fmt.Errorf("settings: field %s.%s has no key", v.Type(), field.Name)
		}
		if field.Type.Kind() == reflect.Struct {
			if err := collect(v.Field(i), section+name+".", at, all); err != nil {
				return err
			}
			continue
		}
		s := Setting{
			Key: section + name, Help: field.Tag.Get("help"), Secret: field.Tag.Get("secret") == "true",
			Default: show(v.Field(i).Interface()), index: at, kind: field.Type,
		}
		if s.Help == "" || !isLeaf(field.Type) {
			return fmt.Errorf("settings: %s wants a help text and one of the known types", s.Key)
		}
		*all = append(*all, s)
	}
	return nil
}

// check finds what would make two settings one, and secrets that only the
// environment could carry.
func check(all []Setting) error {
	keys, vars := make(map[string]bool), make(map[string]string)
	for _, s := range all {
		if other, taken := vars[s.Env()]; taken {
			return fmt.Errorf("settings: %s and %s have the same variable", s.Key, other)
		}
		keys[s.Key], vars[s.Env()] = true, s.Key
	}
	for _, s := range all {
		if s.Secret && !keys[s.Key+fileSuffix] {
			return fmt.Errorf("settings: secret %s has no neighbour %s", s.Key, s.Key+fileSuffix)
		}
	}
	return nil
}

// fileSuffix makes, of a secret's key, the key of the file that holds it.
const fileSuffix = "_file"

func isLeaf(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[string](), reflect.TypeFor[bool](), reflect.TypeFor[int](),
		reflect.TypeFor[time.Duration](), reflect.TypeFor[[]string]():
		return true
	}
	return false
}

// show writes a value as it could be given.
func show(v any) string {
	if list, ok := v.([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(v)
}
