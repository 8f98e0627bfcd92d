package proactor

import "github.com/seed-2ff0fea0/go-proactor/proactor/op"

// deadlines is a 4-ary heap in which most deadlines never move. A deadline that
// is disarmed stays where it is, as a ghost; when its operation is armed again
// for a later time, which is what receives with a time-out do, only the wanted
// time is noted. What comes to the top of the heap before its time goes back in.
//
// An operation may be zeroed or freed by its owner as soon as it has completed,
// so a ghost never looks at its operation: that is only a name there. It does
// keep the operation's memory alive, until its time has come or ghosts are the
// majority.
type deadlines struct {
	heap   []entry
	nodes  []node
	free   []uint32
	ghosts int
}

// entry is a node's place in the heap. Its key is never later than the wanted time.
type entry struct {
	key int64
	id  uint32
}

type node struct {
	o    *op.Op
	want int64 // 0: a ghost
	pos  int32 // in the heap
}

// mine returns o's node, nil if it has none. Req.Timer is a hint: the node knows
// whose it is.
func (d *deadlines) mine(o *op.Op) *node {
	i := uint(o.Req().Timer) - 1
	if i < uint(len(d.nodes)) && d.nodes[i].o == o {
		return &d.nodes[i]
	}
	return nil
}

// arm sets o's deadline, Req.When.
func (d *deadlines) arm(o *op.Op) {
	when := o.Req().When
	n := d.mine(o)
	if n == nil {
		d.add(o, when)
		return
	}
	if n.want == 0 {
		d.ghosts--
	}
	n.want = when
	if e := d.heap[n.pos]; when < e.key {
		d.up(int(n.pos), entry{when, e.id})
	}
}

func (d *deadlines) add(o *op.Op, when int64) {
	var id uint32
	if k := len(d.free); k > 0 {
		id, d.free = d.free[k-1], d.free[:k-1]
	} else {
		id = uint32(len(d.nodes))
		d.nodes = append(d.nodes, node{})
	}
	d.nodes[id] = node{o: o, want: when}
	o.Req().Timer = int32(id + 1)
	d.heap = append(d.heap, entry{})
	d.up(len(d.heap)-1, entry{when, id})
}

// disarm takes o's deadline back, if it has one.
func (d *deadlines) disarm(o *op.Op) {
	if o.Req().Timer == 0 {
		return
	}
	if n := d.mine(o); n != nil && n.want != 0 {
		n.want = 0
		d.ghosts++
		if d.ghosts > len(d.heap)/2+64 {
			d.sweep()
		}
	}
}

// armed is how many deadlines there are.
func (d *deadlines) armed() int { return len(d.heap) - d.ghosts }

// next returns a time before which nothing is due, false if nothing ever is.
func (d *deadlines) next() (int64, bool) {
	if d.armed() == 0 {
		return 0, false
	}
	return d.heap[0].key, true
}

// due takes out and returns an operation whose deadline is not after now.
func (d *deadlines) due(now int64) *op.Op {
	for len(d.heap) > 0 && d.heap[0].key <= now {
		id := d.heap[0].id
		n := &d.nodes[id]
		if n.want > now {
			d.down(0, entry{n.want, id})
			continue
		}
		o, armed := n.o, n.want != 0
		d.drop(id)
		d.pop()
		if armed {
			return o
		}
		d.ghosts--
	}
	return nil
}

func (d *deadlines) drop(id uint32) {
	d.nodes[id] = node{}
	d.free = append(d.free, id)
}

func (d *deadlines) pop() {
	last := len(d.heap) - 1
	e := d.heap[last]
	d.heap = d.heap[:last]
	if last > 0 {
		d.down(0, e)
	}
}

// sweep drops the ghosts and builds the heap anew.
func (d *deadlines) sweep() {
	kept := d.heap[:0]
	for _, e := range d.heap {
		if n := &d.nodes[e.id]; n.want != 0 {
			kept = append(kept, entry{n.want, e.id})
		} else {
			d.drop(e.id)
		}
	}
	d.heap, d.ghosts = kept, 0
	for i := len(kept) - 1; i >= 0; i-- {
		d.down(i, kept[i])
	}
}

func (d *deadlines) put(i int, e entry) {
	d.heap[i] = e
	d.nodes[e.id].pos = int32(i)
}

func (d *deadlines) up(i int, e entry) {
	for i > 0 {
		p := (i - 1) / 4
		if d.heap[p].key <= e.key {
			break
		}
		d.put(i, d.heap[p])
		i = p
	}
	d.put(i, e)
}

func (d *deadlines) down(i int, e entry) {
	for {
		c := 4*i + 1
		if c >= len(d.heap) {
			break
		}
		for k, end := c+1, min(c+4, len(d.heap)); k < end; k++ {
			if d.heap[k].key < d.heap[c].key {
				c = k
			}
		}
		if e.key <= d.heap[c].key {
			break
		}
		d.put(i, d.heap[c])
		i = c
	}
	d.put(i, e)
}
