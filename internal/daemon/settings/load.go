package settings

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Loaded says where the value of each setting comes from.
type Loaded struct {
	all    []Setting
	origin map[string]string
}

// Load returns the configuration T: defaults, overlaid by the file that the
// flag --config or KELISIM_CONFIG names, overlaid by environ ("NAME=value", as
// from os.Environ), overlaid by the flags that were given. The error names every
// fault that was found: unknown keys and variables with the nearest known one,
// secrets in the file, values of the wrong type.
func Load[T any](defaults T, flags *pflag.FlagSet, environ []string) (T, *Loaded, error) {
	return LoadOver(Base{}, defaults, flags, environ)
}

// Base is a layer of settings between the defaults and the file: what the place
// that a person works at brings along. It is one of the two, or empty.
type Base struct {
	Name   string         // for people: "context prod"
	File   string         // a YAML file, as --config takes it
	Values map[string]any // or its content
}

// LoadOver is [Load] with a base.
func LoadOver[T any](base Base, defaults T, flags *pflag.FlagSet, environ []string) (T, *Loaded, error) {
	all, err := List(defaults)
	if err != nil {
		return defaults, nil, err
	}
	l := &Loaded{all: all, origin: make(map[string]string)}
	merged := koanf.New(".")
	err = errors.Join(l.readBase(merged, base), l.readFile(merged, configPath(flags, environ), ""), l.readEnv(merged, environ), l.readFlags(merged, flags))
	out := reflect.ValueOf(&defaults).Elem()
	for _, s := range all {
		if !merged.Exists(s.Key) {
			continue
		}
		if fault := decode(merged, s.Key, out.FieldByIndex(s.index).Addr().Interface()); fault != nil {
			err = errors.Join(err, fmt.Errorf("%s, from %s: %w", s.Key, l.origin[s.Key], fault))
		}
	}
	return defaults, l, err
}

// Origin says where the value of a setting comes from: "default", "file" and
// its name, a variable, or a flag.
func (l *Loaded) Origin(key string) string {
	if o, ok := l.origin[key]; ok {
		return o
	}
	return "default"
}

func (l *Loaded) readBase(merged *koanf.Koanf, base Base) error {
	if base.File != "" {
		return l.readFile(merged, base.File, base.Name+", ")
	}
	layer := koanf.New(".")
	if err := layer.Load(confmap.Provider(base.Values, "."), nil); err != nil {
		return fmt.Errorf("%s: %w", base.Name, err)
	}
	return l.lay(merged, layer, base.Name)
}

func (l *Loaded) readFile(merged *koanf.Koanf, path, of string) error {
	if path == "" {
		return nil
	}
	layer := koanf.New(".")
	if err := layer.Load(file.Provider(path), yaml.Parser()); err != nil {
		return fmt.Errorf("%sfile %s: %w", of, path, err)
	}
	return l.lay(merged, layer, of+"file "+path)
}

// lay lays what people wrote over what is there, and holds it to the settings.
func (l *Loaded) lay(merged, layer *koanf.Koanf, from string) error {
	var faults []error
	known := make(map[string]any)
	for key, value := range layer.All() {
		s, ok := l.find(key)
		switch {
		case value == nil || isEmptySection(value): // "redis:" with nothing behind it
		case !ok:
			faults = append(faults, fmt.Errorf("%s: key %s is unknown; the nearest is %s", from, key, nearest(key, l.keys())))
		case s.Secret:
			faults = append(faults, fmt.Errorf("%s: %s is a secret and stays out of files that people read: give %s or the variable %s",
				from, key, key+fileSuffix, s.Env()))
		default:
			known[key] = value
		}
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(append(faults, l.merge(merged, known, func(Setting) string { return from }))...)
}

func configPath(flags *pflag.FlagSet, environ []string) string {
	if path, err := flags.GetString(ConfigFlag); err == nil && path != "" {
		return path
	}
	path := ""
	for _, e := range environ {
		if value, ok := strings.CutPrefix(e, configEnv+"="); ok {
			path = value
		}
	}
	return path
}

func isEmptySection(v any) bool {
	m, ok := v.(map[string]any)
	return ok && len(m) == 0
}

// testPrefix begins the variables of the project's own tests, which set them
// beside those of the programs they start.
const testPrefix = envPrefix + "TEST_"

func (l *Loaded) readEnv(merged *koanf.Koanf, environ []string) error {
	byEnv := make(map[string]Setting, len(l.all))
	names := []string{configEnv}
	for _, s := range l.all {
		byEnv[s.Env()] = s
		names = append(names, s.Env())
	}
	var faults []error
	layer := koanf.New("\x00") // keys stay whole
	provider := env.Provider("", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			s, ok := byEnv[name]
			switch {
			case name == configEnv || strings.HasPrefix(name, testPrefix):
			case !ok:
				faults = append(faults, unknownVariable(name, names))
			case value != "": // an empty variable is one that is not set
				return s.Key, value
			}
			return "", nil
		},
	})
	if err := layer.Load(provider, nil); err != nil {
		return err
	}
	return errors.Join(append(faults, l.merge(merged, layer.All(), Setting.Env))...)
}

// unknownVariable also recognises what Kubernetes puts into every container for
// a Service whose name begins like our variables.
func unknownVariable(name string, names []string) error {
	if strings.HasSuffix(name, "_SERVICE_HOST") || strings.Contains(name, "_SERVICE_PORT") ||
		strings.Contains(name, "_PORT_") || strings.HasSuffix(name, "_PORT") {
		return fmt.Errorf("variable %s is unknown; it looks like a Kubernetes service link: set enableServiceLinks: false on the pod", name)
	}
	return fmt.Errorf("variable %s is unknown; the nearest is %s", name, nearest(name, names))
}

func (l *Loaded) readFlags(merged *koanf.Koanf, flags *pflag.FlagSet) error {
	byFlag := make(map[string]Setting, len(l.all))
	for _, s := range l.all {
		if !s.Secret {
			byFlag[s.Flag()] = s
		}
	}
	layer := koanf.New("\x00")
	provider := posflag.ProviderWithFlag(flags, "\x00", nil, func(f *pflag.Flag) (string, any) {
		s, ok := byFlag[f.Name]
		if !ok || !f.Changed {
			return "", nil
		}
		return s.Key, posflag.FlagVal(flags, f)
	})
	if err := layer.Load(provider, nil); err != nil {
		return err
	}
	return l.merge(merged, layer.All(), func(s Setting) string { return "--" + s.Flag() })
}

// merge lays one layer of known keys over what is there.
func (l *Loaded) merge(merged *koanf.Koanf, layer map[string]any, origin func(Setting) string) error {
	for key := range layer {
		s, _ := l.find(key)
		l.origin[key] = origin(s)
	}
	return merged.Load(confmap.Provider(layer, "."), nil)
}

func (l *Loaded) find(key string) (Setting, bool) {
	i := slices.IndexFunc(l.all, func(s Setting) bool { return s.Key == key })
	if i < 0 {
		return Setting{}, false
	}
	return l.all[i], true
}

func (l *Loaded) keys() []string {
	keys := make([]string, 0, len(l.all))
	for _, s := range l.all {
		keys = append(keys, s.Key)
	}
	return keys
}
