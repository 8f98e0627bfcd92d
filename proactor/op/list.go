package op

// List is a doubly linked list of operations through their own links: an Op is
// in at most one.
type List struct{ head, tail *Op }

// Empty reports whether the list has no elements.
func (l *List) Empty() bool { return l.head == nil }

// Head returns the first Op, or nil.
func (l *List) Head() *Op { return l.head }

// Push appends o.
func (l *List) Push(o *Op) {
	o.req.Next, o.req.Prev = nil, l.tail
	if l.tail == nil {
		l.head = o
	} else {
		l.tail.req.Next = o
	}
	l.tail = o
}

// Remove takes o out of the list, which it must be in.
func (l *List) Remove(o *Op) {
	next, prev := o.req.Next, o.req.Prev
	if prev == nil {
		l.head = next
	} else {
		prev.req.Next = next
	}
	if next == nil {
		l.tail = prev
	} else {
		next.req.Prev = prev
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
