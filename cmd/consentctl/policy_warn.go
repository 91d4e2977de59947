package main

import (
	"fmt"
	"io"

	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/events/policy"
)

// warnings are what may be meant of a new version after those of the book, and
// seldom is.
func warnings(file string, b *policy.Book, next *policy.Catalogue) []fault {
	return append(faultsOf(file, policy.Warnings(b, next)), unserved(file, next)...)
}

// unserved finds purposes that name a service which does not exist.
func unserved(file string, c *policy.Catalogue) (all []fault) {
	for _, p := range c.Purposes {
		for _, service := range p.Services {
			switch service {
			case marketing.Name, targeting.Name, affiliate.Name: // act on whatever names them
			default:
				cause := fmt.Sprintf("no service is called %s: nobody acts when the purpose stops, though every guard denies it", service)
				all = append(all, fault{file, fmt.Sprintf("purposes[%s].services", p.Name), cause})
			}
		}
	}
	return all
}

// warn prints warnings.
func warn(w io.Writer, all []fault) {
	for _, f := range all {
		fmt.Fprintf(w, "warning: %s\n", f)
	}
}
