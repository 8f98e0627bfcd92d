package main

import (
	"math/rand/v2"
	"time"
)

// data are the keys and their values, the loop's alone. Besides the map there is
// a row of the entries: a compaction goes through it in slices, which a map
// doesn't allow, and what has an expiry is in a row of its own, from which the
// active expiry takes samples.
type data struct {
	byKey map[string]*entry
	row   []*entry
	timed []*entry
	clock func() int64 // ms since 1970

	// deleted is the batch of the log that has the last deletion, or the expiry of a
	// key that is gone by that. Who is told that a key isn't there waits for it.
	deleted uint64
	expired uint64 // how many have been
	// cursor is how far a compaction has come: it goes down the row, all below
	// it is to be written. When an entry is deleted the last one takes its place:
	// so none is left out, some are written twice.
	cursor int
}

type entry struct {
	key     string
	val     []byte
	expires int64 // ms since 1970, 0: never
	batch   uint64
	place   int // in the row
	timer   int // in timed, if it expires
}

func newData() *data {
	return &data{byKey: map[string]*entry{}, clock: func() int64 { return time.Now().UnixMilli() }}
}

// get returns the entry, nil if there is none or its time is over.
func (d *data) get(key []byte) *entry {
	e := d.byKey[string(key)]
	if e != nil && e.expires != 0 && d.isOver(e) {
		d.lapse(e)
		return nil
	}
	return e
}

// lapse drops an entry whose time is over. That it had one may not be durable yet: who is
// told that the key isn't there waits for that, else a crash could bring back an older
// value, which doesn't expire.
func (d *data) lapse(e *entry) {
	d.deleted = max(d.deleted, e.batch)
	d.drop(e)
	d.expired++
}

func (d *data) isOver(e *entry) bool { return e.expires <= d.clock() }

// set stores a copy of val.
func (d *data) set(key, val []byte, expires int64, batch uint64) {
	e := d.byKey[string(key)]
	if e == nil {
		e = &entry{key: string(key), place: len(d.row)}
		d.byKey[e.key] = e
		d.row = append(d.row, e)
	}
	if c := cap(e.val); c < len(val) || c > 2*len(val)+64 {
		e.val = make([]byte, 0, len(val))
	}
	e.val = append(e.val[:0], val...)
	e.batch = batch
	d.expire(e, expires)
}

// expire sets when the entry's time is over; 0 is never.
func (d *data) expire(e *entry, at int64) {
	switch {
	case at != 0 && e.expires == 0:
		e.timer = len(d.timed)
		d.timed = append(d.timed, e)
	case at == 0 && e.expires != 0:
		d.untime(e)
	}
	e.expires = at
}

func (d *data) untime(e *entry) {
	last := len(d.timed) - 1
	moved := d.timed[last]
	d.timed[e.timer], moved.timer = moved, e.timer
	d.timed[last] = nil
	d.timed = d.timed[:last]
}

// drop removes the entry.
func (d *data) drop(e *entry) {
	if e.expires != 0 {
		d.untime(e)
	}
	delete(d.byKey, e.key)
	last := len(d.row) - 1
	moved := d.row[last]
	d.row[e.place], moved.place = moved, e.place
	d.row[last] = nil
	d.row = d.row[:last]
	d.cursor = min(d.cursor, last)
}

// clear removes all.
func (d *data) clear() {
	d.byKey, d.row, d.timed, d.cursor = map[string]*entry{}, nil, nil, 0
}

// Of the active expiry: a slice looks at so many entries, and there are so many
// slices one after the other while more than a quarter of them was over.
const (
	expirySample = 20
	expirySlices = 50
)

// expireSome drops some of those whose time is over and which nobody asks for.
func (d *data) expireSome() {
	for range expirySlices {
		over := 0
		for range min(expirySample, len(d.timed)) {
			if e := d.timed[rand.IntN(len(d.timed))]; d.isOver(e) {
				d.lapse(e)
				over++
			}
		}
		if over <= expirySample/4 {
			return
		}
	}
}
