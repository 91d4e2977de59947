package settings

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/spf13/pflag"
)

// ConfigFlag names the flag that names the file. Its variable is KELISIM_CONFIG.
const ConfigFlag = "config"

const configEnv = envPrefix + "CONFIG"

// AddFlags gives every setting its flag, and the file its own. The texts name
// the variable too.
func AddFlags(flags *pflag.FlagSet, all []Setting) {
	flags.String(ConfigFlag, "", "YAML file to read settings from ("+configEnv+")")
	for _, s := range all {
		if s.Secret {
			continue
		}
		help := fmt.Sprintf("%s (%s)", s.Help, s.Env())
		switch s.kind {
		case reflect.TypeFor[string]():
			flags.String(s.Flag(), s.Default, help)
		case reflect.TypeFor[bool]():
			flags.Bool(s.Flag(), s.Default == "true", help)
		case reflect.TypeFor[int]():
			n, _ := parse(s.Default, s.kind) // written by show
			flags.Int(s.Flag(), n.(int), help)
		case reflect.TypeFor[time.Duration]():
			d, _ := parse(s.Default, s.kind)
			flags.Duration(s.Flag(), d.(time.Duration), help)
		case reflect.TypeFor[[]string]():
			list, _ := parse(s.Default, s.kind)
			flags.StringSlice(s.Flag(), list.([]string), help)
		}
	}
}

// ExplainFlag adds to the error of an unknown flag the nearest known one.
func ExplainFlag(flags *pflag.FlagSet, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	var names []string
	flags.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return fmt.Errorf("flag --%s is unknown; the nearest is --%s", unknown.GetSpecifiedName(), nearest(unknown.GetSpecifiedName(), names))
}
