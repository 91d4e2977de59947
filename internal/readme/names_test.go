package readme

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	named   = regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]*)`")
	defined = regexp.MustCompile(`(?m)^func (Test[A-Z][A-Za-z0-9]*)\(`)
)

// What a page says is held by a test is held by one that exists.
func TestEveryTestThatAPageNamesExists(t *testing.T) {
	there, wanted := make(map[string]bool), make(map[string]string)
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch {
		case strings.HasSuffix(path, "_test.go"):
			return eachMatch(defined, path, func(name string) { there[name] = true })
		case strings.HasSuffix(path, ".md"):
			return eachMatch(named, path, func(name string) { wanted[name] = path })
		}
		return nil
	}))
	require.NotEmpty(t, wanted)
	for name, page := range wanted {
		require.True(t, there[name], "%s names %s, and there is none", page, name)
	}
}

func eachMatch(find *regexp.Regexp, path string, each func(string)) error {
	text, err := os.ReadFile(path)
	for _, m := range find.FindAllStringSubmatch(string(text), -1) {
		each(m[1])
	}
	return err
}
