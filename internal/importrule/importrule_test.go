package importrule_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// listed is what go list says about a package.
type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func TestEveryPackageHasItsPlace(t *testing.T) {
	for _, p := range packages(t) {
		pkg := p.below()
		if !isForTests(pkg) && placeOf(pkg) == nil {
			t.Errorf("%s stands nowhere: add it to the table, with what it may import", pkg)
		}
	}
}

func TestPackagesImportToTheirLeft(t *testing.T) {
	for _, p := range packages(t) {
		from := p.below()
		at := placeOf(from)
		if isForTests(from) || at == nil {
			continue
		}
		for _, imported := range p.Imports {
			to, ours := strings.CutPrefix(imported, module+"/")
			if ours && !at.mayImport(to) {
				t.Errorf("%s imports %s, which does not stand to its left", from, to)
			}
		}
	}
}

func TestGuardedLibrariesStayInTheirPackages(t *testing.T) {
	for _, p := range packages(t) {
		from := p.below()
		at := placeOf(from)
		if isForTests(from) || at == nil {
			continue
		}
		for _, imported := range p.Imports {
			for _, lib := range guarded {
				if under(imported, lib) && !underAny(imported, at.libs) {
					t.Errorf("%s imports %s, which is not for it", from, imported)
				}
			}
		}
	}
}

func TestNothingForTestsIsLinkedIntoProduction(t *testing.T) {
	for _, p := range packages(t) {
		pkg := p.below()
		if isForTests(pkg) || matchesAny(pkg, development) {
			continue
		}
		for _, dep := range p.Deps {
			ours, isOurs := strings.CutPrefix(dep, module+"/")
			if underAny(dep, never) || isOurs && isForTests(ours) {
				t.Errorf("%s links %s in", pkg, dep)
			}
		}
	}
}

// TestTableSaysNo proves that the checks above can fail, on imports that nobody has written.
func TestTableSaysNo(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"events/stream", "events", true},
		{"events", "events/stream/recordbatch", false},
		{"events/stream", "events/cekafka", false},
		{"events/cekafka", "events", false},
		{"consumers", "consumers/internal/slots", true},
		{"consumers/marketing", "consumers/internal/slots", true},
		{"consumers/marketing", "consumers/targeting", false},
		{"consumers/marketing", "internal/cache", false},
		{"guard", "consumers", false},
		{"guard", "internal/cache", true},
		{"guard/guardtest", "guard", true},
		{"consumers", "guard", false},
		{"internal/cache", "guard", false},
		{"deploy", "events", false},
		{"cmd/consentd", "consumers/marketing", true},
		{"consumers/internal/slots", "consumers", true},
	} {
		require.Equal(t, c.want, placeOf(c.from).mayImport(c.to), "%s imports %s", c.from, c.to)
	}
	require.Nil(t, placeOf("internal/util"))
	require.True(t, isForTests("guard/guardtest"))
	require.False(t, isForTests("guard"))
	require.False(t, underAny("github.com/segmentio/kafka-go/sasl", placeOf("consumers").libs))
	require.True(t, underAny("github.com/redis/go-redis/v9", placeOf("consumers/marketing").libs))
}

// packages lists this module without its test files.
func packages(t *testing.T) []listed {
	t.Helper()
	noticeChanges(t)
	all, err := list()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// list asks go list once for all tests.
var list = sync.OnceValues(func() ([]listed, error) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", module+"/...").Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("go list: %w\n%s", err, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
})

// noticeChanges looks at every source file, because go test takes a result from its cache as long as nothing changed that
// the test itself looked at: what go list read does not count.
func noticeChanges(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".go" {
			_, err = os.Stat(path)
		}
		if entry != nil && entry.Name() == ".git" {
			return fs.SkipDir
		}
		return err
	})
	require.NoError(t, err)
}

// below returns the package's path below the module.
func (p listed) below() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func underAny(pkg string, roots []string) bool {
	for _, root := range roots {
		if under(pkg, root) {
			return true
		}
	}
	return false
}
