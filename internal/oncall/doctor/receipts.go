package doctor

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events/stream"
)

// receiptTail is how many of the newest receipts of each partition are read: at
// ten a second and partition of the events topic, some seconds under full load.
const receiptTail = 5000

// checkReceipts finds services that prove what their cache does not hold, and
// those that apply and prove nothing.
func checkReceipts(ctx context.Context, e *Env) ([]Finding, error) {
	proved, err := e.receipts(ctx)
	if err != nil {
		return nil, err
	}
	l, err := e.twice(ctx)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, s := range e.Services {
		before := l.first.stands[s.Name]
		for p, is := range l.second.stands[s.Name] {
			if !is.Known || p >= len(before) {
				continue
			}
			receipt, any := proved[account{s.Name, int32(p)}]
			f := Finding{Object: fmt.Sprintf("%s/%d", s.Name, p)}
			switch {
			case any && receipt.Decided > is.Next && is.Next == before[p].Next:
				f.Severity = Critical
				f.Found = fmt.Sprintf("gave a receipt up to %d at %s, and its cache stands at %d: it acknowledged what is not applied",
					receipt.Decided, receipt.At.Format("15:04:05 MST"), is.Next)
				f.Fix = "its Redis lost writes and nobody repairs them: restart the instance that owns it; then consentctl verify"
			case !any && before[p].Known && before[p].Next > l.second.log[int32(p)].First:
				f.Severity = Warning
				f.Found = "no receipt of it is among the newest: when it stopped for whom cannot be proved"
				f.Fix = "look into the service's log for \"receipts not published\"; its principal needs Write on " + e.Topics.Receipts
			default:
				continue
			}
			out = append(out, f)
		}
	}
	return out, nil
}

// account is what receipts are given for.
type account struct {
	service   string
	partition int32
}

// receipts returns the newest receipt of every account, of this generation.
func (e *Env) receipts(ctx context.Context) (map[account]consumers.Receipt, error) {
	newest := make(map[account]consumers.Receipt)
	err := e.tail(ctx, e.Topics.Receipts, receiptTail, func(r *stream.Record) error {
		var receipt consumers.Receipt
		if err := json.Unmarshal(r.Value, &receipt); err != nil || receipt.Generation != e.Generation {
			return nil // partners' acknowledgements stand here too
		}
		a := account{receipt.Service, receipt.Partition}
		if known, ok := newest[a]; !ok || receipt.Decided >= known.Decided {
			newest[a] = receipt
		}
		return nil
	})
	return newest, err
}
