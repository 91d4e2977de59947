package cache

import (
	"slices"
	"strconv"

	"github.com/kelisim/kelisim/events"
)

// place is where one subject's state is: the key, and the field in it.
type place struct {
	bucket, field string
	number        int32 // of the bucket
}

// places finds many subjects at once: their texts stand in one piece of memory.
type places struct {
	list []place
	all  []byte
	ends [][3]int32 // of bucket and field, in all; number of the bucket
}

// find puts the places of n subjects of a partition into the list.
func (p *places) find(l Layout, partition int32, n int, subject func(i int) events.Subject) {
	prefix := l.Prefix(partition) + bucketName
	all, ends := p.all[:0], p.ends[:0]
	for i := range n {
		s := subject(i)
		_, bucket := l.place(s)
		all = strconv.AppendInt(append(all, prefix...), int64(bucket), 10)
		key := len(all)
		all = appendField(all, s)
		ends = append(ends, [3]int32{int32(key), int32(len(all)), bucket})
	}
	p.all, p.ends = all, ends
	text, from := string(all), int32(0)
	p.list = slices.Grow(p.list[:0], n)
	for _, end := range ends {
		p.list = append(p.list, place{text[from:end[0]], text[end[0]:end[1]], end[2]})
		from = end[1]
	}
}
