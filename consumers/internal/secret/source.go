package secret

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Source says where a key is, never what it is: base64 of at least 32 bytes, as
// "openssl rand -base64 32" prints it. The zero Source names no place.
type Source struct {
	File string
	Env  string
}

// Read returns the key, or the zero Key when the source names no place. A file
// that is not absolute is looked for in dir. No error holds anything of a key.
func (s Source) Read(dir string, getenv func(string) string) (Key, error) {
	var text string
	switch {
	case s == Source{}:
		return Key{}, nil
	case s.File != "" && s.Env != "":
		return Key{}, errors.New("is in a file and in the environment: want one of them")
	case s.File != "":
		path := s.File
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return Key{}, err
		}
		text = string(raw)
	default:
		if text = getenv(s.Env); text == "" {
			return Key{}, fmt.Errorf("variable %s is not set", s.Env)
		}
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return Key{}, errors.New("is not base64") // the cause would quote the key
	}
	return NewKey(secret)
}
