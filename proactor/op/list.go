package op

// List is a doubly linked list of operations through their own links: an Op is
// in at most one. The first one's Prev is the last one, so that a list is one
// word: each handle has four of them.
type List struct{ head *Op }

// Empty reports whether the list has no elements.
func (l *List) Empty() bool { return l.head == nil }

// Head returns the first Op, or nil.
func (l *List) Head() *Op { return l.head }

// Push appends o.
func (l *List) Push(o *Op) {
	o.req.Next = nil
	if l.head == nil {
		l.head, o.req.Prev = o, o
		return
	}
	last := l.head.req.Prev
	last.req.Next, o.req.Prev = o, last
	l.head.req.Prev = o
}

// Remove takes o out of the list, which it must be in.
func (l *List) Remove(o *Op) {
	next, prev := o.req.Next, o.req.Prev
	if o == l.head {
		l.head = next
	} else {
		prev.req.Next = next
	}
	if next != nil {
		next.req.Prev = prev
	} else if l.head != nil {
		l.head.req.Prev = prev
	}
	o.req.Next, o.req.Prev = nil, nil
}

// Pop takes the first Op out; nil if the list is empty.
func (l *List) Pop() *Op {
	o := l.head
	if o != nil {
		l.Remove(o)
	}
	return o
}
