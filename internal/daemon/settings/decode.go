package settings

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/v2"
)

// decode writes the value of one key into out. It is strict: only texts, as
// they come from the environment, are turned into other types.
func decode(k *koanf.Koanf, key string, out any) error {
	err := k.UnmarshalWithConf(key, out, koanf.UnmarshalConf{
		DecoderConfig: &mapstructure.DecoderConfig{DecodeHook: mapstructure.DecodeHookFuncType(convert)},
	})
	var inner *mapstructure.DecodeError // its text would add an empty name
	if errors.As(err, &inner) {
		return inner.Unwrap()
	}
	return err
}

func convert(from, to reflect.Type, value any) (any, error) {
	if text, ok := value.(string); ok && from != to {
		return parse(text, to)
	}
	if to == reflect.TypeFor[time.Duration]() && from != to {
		return nil, errors.New("a duration needs its unit, as in 20s")
	}
	return value, nil
}

// parse reads a text as a value of a leaf type.
func parse(text string, to reflect.Type) (any, error) {
	switch to {
	case reflect.TypeFor[bool]():
		b, err := strconv.ParseBool(text)
		return b, because(err, "want true or false")
	case reflect.TypeFor[int]():
		n, err := strconv.Atoi(text)
		return n, because(err, "want a whole number")
	case reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(text)
		return d, because(err, "want a duration with its unit, as in 20s")
	case reflect.TypeFor[[]string]():
		list := make([]string, 0, strings.Count(text, ",")+1)
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
		return list, nil
	}
	return text, nil
}

func because(err error, want string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", want, err)
}
