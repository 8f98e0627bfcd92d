package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func batchOf(records ...[]byte) []byte {
	b := make([]byte, batchHead)
	for _, r := range records {
		b = append(b, r...)
	}
	seal(b)
	return b
}

func bs(s string) []byte { return []byte(s) }

// contents are the keys and values, with the expiry behind them if there is one.
func contents(d *data) map[string]string {
	all := map[string]string{}
	for key, e := range d.byKey {
		all[key] = string(e.val)
		if e.expires != 0 {
			all[key] += fmt.Sprint("@", e.expires)
		}
	}
	return all
}

// sample is a file, and for each of its batches where it ends and what there is
// then.
func sample() (file []byte, ends []int, states []map[string]string) {
	d := newData()
	file = bs(magic)
	add := func(records ...[]byte) {
		b := batchOf(records...)
		if err := d.apply(b[batchHead:]); err != nil {
			panic(err)
		}
		file = append(file, b...)
		ends, states = append(ends, len(file)), append(states, contents(d))
	}
	ends, states = append(ends, len(file)), append(states, contents(d))
	add(appendSet(nil, bs("a"), bs("1"), 0))
	add(appendSet(nil, bs("b"), bytes.Repeat(bs("\x00"), 300), 0), appendSet(nil, bs("c"), bs("3"), 1<<50))
	add(appendDelete(nil, bs("a")), appendExpire(nil, bs("c"), 0), appendExpire(nil, bs("b"), 1<<51))
	add(appendClear(nil), appendSet(nil, bs(""), bs(""), 0), appendSet(nil, bs("d"), bs("4"), 0))
	add(appendSet(nil, bs("a"), bs("5"), 0))
	return file, ends, states
}

func TestATornTailIsCutOffWhereverItIs(t *testing.T) {
	file, ends, states := sample()
	for cut := range len(file) + 1 {
		whole := 0
		for i, end := range ends {
			if end <= cut {
				whole = i
			}
		}
		for _, tail := range [][]byte{nil, make([]byte, 4096), bytes.Repeat(bs("\xff"), 100)} {
			d := newData()
			b := append(bytes.Clone(file[:cut]), tail...)
			good, torn, err := d.replay(bytes.NewReader(b), int64(len(b)), false)
			if cut < len(magic) {
				// No batch can be in such a file: it is made anew, or another program's.
				if err == nil {
					require.Zero(t, good)
				}
				require.Empty(t, d.byKey)
				continue
			}
			require.NoError(t, err, "cut at %d", cut)
			require.EqualValues(t, ends[whole], good, "cut at %d", cut)
			require.Equal(t, states[whole], contents(d), "cut at %d", cut)
			require.Equal(t, torn, !isZero(b[good:]), "cut at %d", cut)
		}
	}
}

func TestEveryChangedByteIsFound(t *testing.T) {
	file, ends, states := sample()
	for at := len(magic); at < len(file); at++ {
		b := bytes.Clone(file)
		b[at] ^= byte(1 + rand.IntN(255))
		whole := 0
		for i, end := range ends {
			if end <= at {
				whole = i
			}
		}
		d := newData()
		good, _, err := d.replay(bytes.NewReader(b), int64(len(b)), false)
		require.EqualValues(t, ends[whole], good, "byte %d", at)
		require.Equal(t, states[whole], contents(d), "byte %d", at)
		if whole+2 < len(ends) {
			require.ErrorIs(t, err, errCorrupt, "byte %d", at)
		} else if whole+2 == len(ends) {
			require.NoError(t, err, "the last batch is a torn tail")
		}
		_, torn, err := newData().replay(bytes.NewReader(b), int64(len(b)), true)
		require.NoError(t, err)
		require.True(t, torn)
		if whole+3 < len(ends) {
			b[ends[whole+1]]++ // the next one, too
			good, _, err := newData().replay(bytes.NewReader(b), int64(len(b)), false)
			require.EqualValues(t, ends[whole], good, "byte %d", at)
			require.ErrorIs(t, err, errCorrupt, "byte %d", at)
		}
	}
	for at := range magic {
		b := bytes.Clone(file)
		b[at] ^= byte(1 + rand.IntN(255))
		_, _, err := newData().replay(bytes.NewReader(b), int64(len(b)), true)
		require.Error(t, err, "byte %d", at)
	}
}

// The pages of a write come to the disk in any order. Here they are small, and the
// batch begins at every place in one, so that its head is in two now and then.
func TestATornTailMayLackAnyOfItsPages(t *testing.T) {
	const page, pages = 64, 5
	for shift := range page {
		d, file := newData(), append(bs(magic), batchOf(appendSet(nil, bs("a"), bytes.Repeat(bs("x"), 200+shift), 0))...)
		_, _, err := d.replay(bytes.NewReader(file), int64(len(file)), false)
		require.NoError(t, err)
		end, before := len(file), contents(d)
		file = append(file, batchOf(appendSet(nil, bs("b"), bytes.Repeat(bs("y"), 190), 0))...)
		first := end / page * page
		for there := range 1 << pages {
			b := append(bytes.Clone(file), make([]byte, 4096)...)
			for i := range pages {
				if there&(1<<i) == 0 {
					clear(b[max(end, first+i*page) : first+(i+1)*page])
				}
			}
			if bytes.HasPrefix(b, file) {
				continue // all of it is
			}
			d := newData()
			good, torn, err := d.replay(bytes.NewReader(b), int64(len(b)), false)
			require.NoError(t, err, "at %d, pages %b", end, there)
			require.EqualValues(t, end, good)
			require.Equal(t, before, contents(d))
			require.Equal(t, !isZero(b[end:]), torn)
		}
	}
}

// Of a value that is a file of this program, torn, nothing is taken for a batch
// that was there; without the head it can't be told.
func TestATornTailMayHaveBatchesInItsValues(t *testing.T) {
	file, ends, _ := sample()
	end := len(file)
	file = append(file, batchOf(appendSet(nil, bs("log"), file[ends[0]:], 0))...)
	file[len(file)-1]++
	_, torn, err := newData().replay(bytes.NewReader(file), int64(len(file)), false)
	require.NoError(t, err)
	require.True(t, torn)
	clear(file[end:][:batchHead])
	_, _, err = newData().replay(bytes.NewReader(file), int64(len(file)), false)
	require.ErrorIs(t, err, errCorrupt)
}

// Nothing is known of what is behind more heads than a log can have, and it isn't
// read again for each.
func TestHeadsInAValueAreNotFollowedForEver(t *testing.T) {
	end := batchOf(make([]byte, 1<<20))[:batchHead]
	end[batchHead-1]++
	file := append(bs(magic), make([]byte, batchHead)...)
	file = append(append(file, bytes.Repeat(end, 1<<17)...), make([]byte, 1<<20)...)
	r := &countingReader{r: bytes.NewReader(file)}
	_, _, err := newData().replay(r, int64(len(file)), false)
	require.ErrorIs(t, err, errCorrupt)
	require.Less(t, r.n, 4*len(file))
}

// What can't be read again is neither torn nor damaged.
func TestAnErrorOfTheDiskIsNoTornTail(t *testing.T) {
	file, ends, _ := sample()
	for _, at := range []int{ends[1], ends[1] + batchHead} {
		b := bytes.Clone(file)
		b[at]++
		for calls := 1; ; calls++ {
			r := &countingReader{r: bytes.NewReader(b), fails: calls}
			_, _, err := newData().replay(r, int64(len(b)), false)
			if r.calls > calls {
				require.ErrorIs(t, err, errDisk, "call %d", calls)
			} else {
				require.ErrorIs(t, err, errCorrupt)
				require.Greater(t, calls, 2)
				break
			}
		}
	}
}

var errDisk = errors.New("the disk is broken")

// countingReader counts what is read, and fails from a call on.
type countingReader struct {
	r        io.ReaderAt
	n, calls int
	fails    int // 0: never
}

func (c *countingReader) ReadAt(b []byte, off int64) (int, error) {
	c.calls++
	if c.fails > 0 && c.calls > c.fails {
		return 0, errDisk
	}
	n, err := c.r.ReadAt(b, off)
	c.n += n
	return n, err
}

func TestAFileOfAnotherProgramIsRefused(t *testing.T) {
	for _, text := range []string{"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n", "short"} {
		_, _, err := newData().replay(bytes.NewReader(bs(text)), int64(len(text)), true)
		require.EqualError(t, err, "not a file of this program")
	}
	for _, rest := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00\x00", "\x05\x00\x00\x00crc.\x03\x01a\x011"} {
		text := magic1 + rest
		_, _, err := newData().replay(bytes.NewReader(bs(text)), int64(len(text)), true)
		require.ErrorIs(t, err, errOld)
	}
}

func TestACrashAtTheMakingOfAFileLeavesNone(t *testing.T) {
	for i := range magic {
		for _, zeros := range []int{0, len(magic) - i} {
			file := append(bs(magic[:i]), make([]byte, zeros)...)
			good, torn, err := newData().replay(bytes.NewReader(file), int64(len(file)), false)
			require.NoError(t, err, "%q", file)
			require.Zero(t, good)
			require.Equal(t, len(file) > 0, torn)
		}
	}
	file := make([]byte, len(magic)+1)
	_, _, err := newData().replay(bytes.NewReader(file), int64(len(file)), false)
	require.Error(t, err, "more was never there without the line")
}

func TestToApplyRecordsTwiceIsToApplyThemOnce(t *testing.T) {
	once, twice := newData(), newData()
	var all []byte
	for range 300 {
		var r []byte
		key := bs(fmt.Sprint("k", rand.IntN(20)))
		switch rand.IntN(4) {
		case 0:
			r = appendDelete(nil, key)
		case 1:
			r = appendExpire(nil, key, rand.Int64N(2)*1<<50)
		default:
			r = appendSet(nil, key, bs(fmt.Sprint(rand.Int())), rand.Int64N(2)*1<<51)
		}
		all = append(all, r...)
		require.NoError(t, once.apply(r))
	}
	require.NoError(t, twice.apply(all))
	require.NoError(t, twice.apply(all))
	require.Equal(t, contents(once), contents(twice))
}

// A compaction that is as slow as can be, while everything changes.
func TestTheSlicesAndTheWritesMeanwhileMakeTheWhole(t *testing.T) {
	for range 50 {
		d, file := newData(), bs(magic)
		var gather []byte
		for i := range 2000 {
			d.set(fmt.Append(nil, "k", i), fmt.Append(nil, i), 0, 0)
		}
		d.cursor = len(d.row)
		for d.cursor > 0 {
			for range rand.IntN(400) {
				key := fmt.Append(nil, "k", rand.IntN(2500))
				switch e := d.get(key); {
				case e != nil && rand.IntN(2) == 0:
					gather = appendDelete(gather, key)
					d.drop(e)
				case e != nil && rand.IntN(2) == 0:
					gather = appendExpire(gather, key, 1<<50)
					d.expire(e, 1<<50)
				default:
					val := fmt.Append(nil, rand.Int())
					gather = appendSet(gather, key, val, 0)
					d.set(key, val, 0, 0)
				}
			}
			if rand.IntN(3) > 0 && len(gather) > 0 {
				file, gather = append(file, batchOf(gather)...), nil
			}
			file = d.slice(file)
		}
		if len(gather) > 0 {
			file = append(file, batchOf(gather)...)
		}
		back := newData()
		_, torn, err := back.replay(bytes.NewReader(file), int64(len(file)), false)
		require.NoError(t, err)
		require.False(t, torn)
		require.Equal(t, contents(d), contents(back))
	}
}

func FuzzReplay(f *testing.F) {
	file, ends, _ := sample()
	f.Add(file)
	f.Add(file[:ends[2]+5])
	f.Add(append(bs(magic), batchOf(bs("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))...))
	f.Add(append(bs(magic), batchOf(bs("\x02abc"))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newData()
		good, _, _ := d.replay(bytes.NewReader(b), int64(len(b)), false)
		require.LessOrEqual(t, good, int64(len(b)))
		again := newData()
		good2, torn, err := again.replay(bytes.NewReader(b[:good]), good, false)
		require.NoError(t, err)
		require.False(t, torn)
		require.Equal(t, good, good2)
	})
}

func FuzzApply(f *testing.F) {
	f.Add(appendSet(appendDelete(nil, bs("a")), bs("b"), bs("c"), 12))
	f.Add(bs("\x04\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newData()
		_ = d.apply(b)
		require.Len(t, d.row, len(d.byKey))
		for i, e := range d.row {
			require.Equal(t, i, e.place)
			require.Same(t, e, d.byKey[e.key])
		}
		for i, e := range d.timed {
			require.Equal(t, i, e.timer)
			require.NotZero(t, e.expires)
		}
	})
}
