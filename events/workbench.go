package events

// bench is the room in which one state is taken apart and put together again.
// Benches are lent out by the rules and used anew, so that a fold allocates
// nothing but the state that it returns.
type bench struct {
	ledger
	writer
}

func (r *Rules) borrow() *bench {
	if b, ok := r.benches.Get().(*bench); ok {
		return b
	}
	return new(bench)
}

func (r *Rules) giveBack(b *bench) { r.benches.Put(b) }

// open lays s open. When it is not readable, the ledger is left empty.
func (b *bench) open(s State) error {
	b.clear()
	err := s.read(&b.ledger)
	if err != nil {
		b.clear()
	}
	return err
}

func (b *bench) clear() {
	b.ledger = ledger{gates: b.gates[:0], past: b.past[:0], table: b.ledger.table[:0]}
}

// state closes the ledger into a value.
func (b *bench) state() State { return b.writer.state(&b.ledger) }
