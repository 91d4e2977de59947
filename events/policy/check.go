package policy

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"

	"github.com/kelisim/kelisim/events"
)

// What the texts of a catalogue look like. schemas/policy-catalogue.v1.json says
// the same; a test holds the two together.
var (
	word    = regexp.MustCompile(`^[a-z0-9-]+$`)
	version = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`) // as the attribute policyversion
	bin     = regexp.MustCompile(`^[0-9]{12}$`)
	digest  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	country = regexp.MustCompile(`^[A-Z]{2}$`)
)

// residency is the only country in which the policy lets data be kept (2.5).
const residency = "KZ"

func locales() []string { return []string{"kk", "ru", "en"} }

// check says what is wrong with a catalogue whose members are all there.
func (c *Catalogue) check() (f Faults) {
	f.match("policy", c.Policy, word)
	f.match("version", string(c.Version), version)
	if c.EffectiveOn.Compare(c.PublishedOn) < 0 {
		f.add("effectiveon", "%s is before publishedon, %s", c.EffectiveOn, c.PublishedOn)
	}
	f.want("operator.name", c.Operator.Name)
	f.match("operator.bin", c.Operator.BIN, bin)
	if c.Residency != residency {
		f.add("residency", "%q is not %s, where data is kept (clause 2.5)", c.Residency, residency)
	}
	if c.Uncertainty <= 0 {
		f.add("clockUncertaintyMs", "%d is not above 0", c.Uncertainty)
	}
	c.checkTexts(&f)
	if n := len(c.Purposes); n == 0 || n > events.MaxPurposes {
		f.add("purposes", "%d of them; want 1 to %d", n, events.MaxPurposes)
	}
	for i := range c.Purposes {
		c.Purposes[i].check(&f)
	}
	if len(f) == 0 {
		if _, err := c.Rules(); err != nil {
			f.add("purposes", "%w", err)
		}
	}
	return f
}

func (c *Catalogue) checkTexts(f *Faults) {
	if len(c.Texts) == 0 {
		f.add("texts", "none")
	}
	seen := make(map[string]bool)
	for i, t := range c.Texts {
		at := fmt.Sprintf("texts[%d]", i)
		switch {
		case !slices.Contains(locales(), t.Locale):
			f.add(at+".locale", "%q is none of %q", t.Locale, locales())
		case seen[t.Locale]:
			f.add(at+".locale", "%q is given twice", t.Locale)
		}
		seen[t.Locale] = true
		if u, err := url.Parse(t.URI); err != nil || !u.IsAbs() {
			f.add(at+".text", "%q is no absolute URI", t.URI)
		}
		f.match(at+".sha256", t.SHA256, digest)
	}
}

// check leaves code, basis and whether they fit to [events.NewRules].
func (p *Purpose) check(f *Faults) {
	at := p.path()
	f.match(at+".name", string(p.Name), word)
	f.want(at+".clause", p.Clause)
	f.want(at+".labels.kk", p.Labels.Kazakh)
	f.want(at+".labels.ru", p.Labels.Russian)
	f.want(at+".labels.en", p.Labels.English)
	f.match(at+".coveredfrom", string(p.CoveredFrom), version)
	for _, set := range p.sets() {
		items := *set.items
		if set.mandatory && len(items) == 0 {
			f.add(at+"."+set.name, "none")
		}
		for i, item := range items {
			if i > 0 && item == items[i-1] {
				f.add(at+"."+set.name, "%q is given twice", item)
			}
			if !set.form.MatchString(item) && (item != set.also || len(items) > 1) {
				f.add(at+"."+set.name, "%q is not of the form %s", item, set.form)
			}
		}
	}
}

// path is where the purpose stands in the file.
func (p *Purpose) path() string { return fmt.Sprintf("purposes[%s]", p.Name) }

// set is one of the purpose's members that are sets of texts.
type set struct {
	name      string
	items     *[]string
	form      *regexp.Regexp
	also      string // another text that may stand alone
	mandatory bool   // an empty one is a fault
	noun      string // of an item, where a new one widens the purpose
}

func (p *Purpose) sets() [4]set {
	return [...]set{
		{name: "recipients", items: &p.Recipients, form: word, mandatory: true, noun: "recipient"}, // clause 2.1
		{name: "datacategories", items: &p.DataCategories, form: word, mandatory: true, noun: "data category"},
		{name: "crossborder", items: &p.CrossBorder, form: country, also: AnyCountry, noun: "country abroad"},
		{name: "services", items: &p.Services, form: word},
	}
}

func (f *Faults) want(field, text string) {
	if text == "" {
		*f = append(*f, Fault{field, errMissing})
	}
}

func (f *Faults) match(field, text string, form *regexp.Regexp) {
	if !form.MatchString(text) {
		f.add(field, "%q is not of the form %s", text, form)
	}
}
