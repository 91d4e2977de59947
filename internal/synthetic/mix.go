package synthetic

import "github.com/kelisim/kelisim/events"

// Mix says how often a subject that has arrived decides what, as weights. A
// decision that makes no sense where the subject stands is drawn again, so the
// shares that come out differ; those of DefaultMix stand beside its weights.
type Mix map[events.Type]int

// DefaultMix returns the weights of a year at a media service as we imagine it:
// much consent and withdrawal, some requests with clause 2.6, few blocks, and
// now and then somebody who leaves. Beside each weight, in per cent, what comes
// out of 100,000 decisions of subjects that have arrived (measured, and held by
// a test to half a per cent).
func DefaultMix() Mix {
	return Mix{
		events.Granted:             36, // 37.2 %
		events.Withdrawn:           30, // 35.1 %
		events.WithdrawalRequested: 10, // 6.1 %
		events.WithdrawalRefused:   9,  // 3.1 %
		events.PolicyAccepted:      8,  // 10.9 %
		events.Blocked:             2,  // 2.0 %
		events.Unblocked:           6,  // 1.8 %
		events.AgreementEnded:      2,  // 2.0 %
		events.AgreementStarted:    4,  // 1.3 %
		events.SubjectErased:       2,  // 0.5 %
	}
}

// draw is a mix made ready to draw from.
type draw struct {
	types []events.Type
	upTo  []int // sum of the weights up to and including the type's
}

func newDraw(m Mix) draw {
	var d draw
	sum := 0
	for _, t := range events.Types() { // in a fixed order: a map has none
		if m[t] > 0 {
			sum += m[t]
			d.types, d.upTo = append(d.types, t), append(d.upTo, sum)
		}
	}
	return d
}

// total returns the sum of all weights.
func (d draw) total() int { return d.upTo[len(d.upTo)-1] }

// pick returns the type at a point below total.
func (d draw) pick(at int) events.Type {
	for i, upTo := range d.upTo {
		if at < upTo {
			return d.types[i]
		}
	}
	return 0
}
