package rebuild

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/cache"
)

func at(service string, w witness) *witness {
	w.Inspector, w.own = cache.NewInspector(nil, cache.Layout{Service: service}), service == "marketing"
	return &w
}

func TestOneWhoDiffersVetoesAndTheLiveCacheIsEnoughOnlyAlone(t *testing.T) {
	agrees, differs, silent, copied := witness{agrees: true}, witness{differs: "differs"}, witness{}, witness{agrees: true, copied: true}
	for _, c := range []struct {
		name     string
		all      []*witness
		verified []string
		why      string
		unheard  []string
	}{
		{"another agrees", []*witness{at("marketing", agrees), at("targeting", agrees)}, []string{"marketing", "targeting"}, "", nil},
		{"another agrees, the live one differs", []*witness{at("marketing", differs), at("targeting", agrees)}, []string{"targeting"}, "", nil},
		{"another agrees, a third is silent", []*witness{at("marketing", silent), at("targeting", agrees), at("affiliate", silent)}, []string{"targeting"}, "", []string{"marketing", "affiliate"}},
		{"another differs", []*witness{at("marketing", agrees), at("targeting", differs)}, nil, "differs", nil},
		{"another differed once and agreed once", []*witness{at("marketing", agrees), at("targeting", witness{agrees: true, differs: "differs"})}, nil, "differs", nil},
		{"one agrees and one differs", []*witness{at("targeting", agrees), at("affiliate", differs)}, nil, "differs", nil},
		{"the live one agrees, another is silent", []*witness{at("marketing", agrees), at("targeting", silent)}, nil, "only marketing had the same digest, and of the others none stood at the same position", []string{"targeting"}},
		{"the live one is alone", []*witness{at("marketing", agrees)}, []string{"marketing"}, "", nil},
		{"the live one is alone and differs", []*witness{at("marketing", differs)}, nil, "differs", nil},
		{"a copy's writer agrees, the live one is silent", []*witness{at("marketing", silent), at("snapshots", copied)}, nil, "only snapshots had the same digest, which wrote the snapshots", []string{"marketing"}},
		{"a copy's writer agrees, and the live one", []*witness{at("marketing", agrees), at("snapshots", copied)}, []string{"marketing", "snapshots"}, "", nil},
		{"a copy's writer differs", []*witness{at("marketing", agrees), at("snapshots", witness{differs: "differs", copied: true})}, nil, "differs", nil},
		{"nobody", nil, nil, "no other cache stood at the same position", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			verified, why, unheard := judge(c.all)
			require.Equal(t, c.verified, verified)
			require.Equal(t, c.why, why)
			require.Equal(t, c.unheard, unheard)
		})
	}
}
