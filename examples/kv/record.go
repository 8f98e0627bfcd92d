package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The format of the append-only file: a magic line, then batches, each what one
// write took to the disk.
//
//	batch:  its head: length of the records (4 bytes, little endian), CRC-32C of
//	        these 4 bytes (4 bytes), CRC-32C of the records (4 bytes); the records
//	record: kind (1 byte), and as the kind wants them: the expiry in ms since 1970
//	        (8 bytes), the key, the value (each a uvarint of its length, its bytes)
//
// A head of zeros is the end: in front of the log the file is filled with zeros. The
// length has a checksum of its own, so that of a batch with bad records it is still
// known where the next one begins. A batch counts as a whole or not at all, so that
// a command that changes several keys does. Records say what became, not what was
// asked for: to apply them twice is to apply them once, which compaction makes use of.
const (
	magic      = "proactor kv log 2\n"
	magic1     = "proactor kv log\n" // one checksum for a batch; not read any more
	batchHead  = 12
	batchLimit = 1 << 31 // of its records
)

type kind byte

const (
	kindSet     kind = 1 + iota // key, value: it never expires
	kindSetTill                 // expiry, key, value
	kindDelete                  // key
	kindExpire                  // expiry (0: never), key
	kindClear
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendSet(to, key, val []byte, expires int64) []byte {
	if expires == 0 {
		to = append(to, byte(kindSet))
	} else {
		to = append(to, byte(kindSetTill))
		to = binary.LittleEndian.AppendUint64(to, uint64(expires))
	}
	return appendString(appendString(to, key), val)
}

func appendDelete(to, key []byte) []byte {
	return appendString(append(to, byte(kindDelete)), key)
}

func appendExpire(to, key []byte, expires int64) []byte {
	to = binary.LittleEndian.AppendUint64(append(to, byte(kindExpire)), uint64(expires))
	return appendString(to, key)
}

func appendClear(to []byte) []byte { return append(to, byte(kindClear)) }

func appendString(to, s []byte) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}

// seal makes b, which begins with room for the head, a batch.
func seal(b []byte) {
	binary.LittleEndian.PutUint32(b, uint32(len(b)-batchHead))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[:4], castagnoli))
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[batchHead:], castagnoli))
}

// lengthIn returns the length of the records that a head has, if it is a good one.
func lengthIn(head []byte) (n int64, good bool) {
	n = int64(binary.LittleEndian.Uint32(head))
	return n, n > 0 && binary.LittleEndian.Uint32(head[4:]) == crc32.Checksum(head[:4], castagnoli)
}

// sumIn returns the checksum of the records that a head has.
func sumIn(head []byte) uint32 { return binary.LittleEndian.Uint32(head[8:]) }

var errRecord = errors.New("a record that makes no sense")

// apply does what the records of a batch say. What is over is kept: a later
// record may say otherwise.
func (d *data) apply(records []byte) error {
	r := reading{b: records}
	for len(r.b) > 0 && !r.bad {
		switch k := kind(r.bytes(1)[0]); k {
		case kindSet, kindSetTill:
			at := int64(0)
			if k == kindSetTill {
				at = r.time()
			}
			key, val := r.string(), r.string()
			if !r.bad {
				d.set(key, val, at, 0)
			}
		case kindDelete:
			if e := d.byKey[string(r.string())]; e != nil && !r.bad {
				d.drop(e)
			}
		case kindExpire:
			at := r.time()
			if e := d.byKey[string(r.string())]; e != nil && !r.bad {
				d.expire(e, at)
			}
		case kindClear:
			d.clear()
		default:
			r.bad = true
		}
	}
	if r.bad {
		return errRecord
	}
	return nil
}

// reading is what of a batch is still to be read.
type reading struct {
	b   []byte
	bad bool
}

var nothing [batchHead]byte

func (r *reading) bytes(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nothing[:min(max(n, 0), len(nothing))]
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reading) time() int64 { return int64(binary.LittleEndian.Uint64(r.bytes(8))) }

func (r *reading) string() []byte {
	n, k := binary.Uvarint(r.b)
	if k <= 0 || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	r.bytes(k)
	return r.bytes(int(n))
}

// errCorrupt: there is a good batch behind a bad one. With the policy always that is
// no torn tail, for a batch is on the disk before the next is written, and to cut it
// off would lose what was acknowledged. With the others a loss of power can leave it.
var errCorrupt = errors.New("damaged, and not at its end; -repair cuts it off there")

var errOld = errors.New("a file of an older version, which is not read any more")

// replay applies the batches of a file of the given size. It returns how much of
// the file they are, and whether there is something else than zeros behind them:
// a torn tail.
func (d *data) replay(f io.ReaderAt, size int64, repair bool) (good int64, torn bool, err error) {
	in := bufio.NewReaderSize(io.NewSectionReader(f, 0, size), 1<<20)
	head := make([]byte, len(magic))
	if n, err := io.ReadFull(in, head); err != nil || string(head) != magic {
		if err != nil && !endOfFile(err) {
			return 0, false, err
		}
		if bytes.HasPrefix(head, []byte(magic1)) {
			return 0, false, errOld
		}
		// A crash at its making can leave a part of the line, and zeros.
		if part := bytes.TrimRight(head[:n], "\x00"); size > int64(len(magic)) || !bytes.HasPrefix([]byte(magic), part) {
			return 0, false, errors.New("not a file of this program")
		}
		return 0, n > 0, nil
	}
	good = int64(len(magic))
	var batch []byte
	for {
		batch, err = readBatch(in, batch, size-good)
		switch {
		case errors.Is(err, errEnd):
			return good, false, nil
		case errors.Is(err, errTorn):
			if repair {
				return good, true, nil
			}
			more, err := followed(f, good, batch[:batchHead], size)
			if more {
				err = fmt.Errorf("at byte %d: %w", good, errCorrupt)
			}
			return good, true, err
		case err != nil:
			return good, false, err
		}
		if err := d.apply(batch[batchHead:]); err != nil {
			return good, true, fmt.Errorf("at byte %d: %w", good, err)
		}
		good += int64(len(batch))
	}
}

var (
	errEnd  = errors.New("the end")
	errTorn = errors.New("a torn batch")
)

func endOfFile(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// readBatch reads a batch of what is left of the file into b, which grows.
func readBatch(in *bufio.Reader, b []byte, left int64) ([]byte, error) {
	b = append(b[:0], nothing[:batchHead]...)
	n, err := io.ReadFull(in, b)
	if err != nil && !endOfFile(err) {
		return b, err
	}
	if isZero(b[:n]) {
		return b, restIsZero(in)
	}
	length, ok := lengthIn(b)
	if err != nil || !ok || length > left-batchHead {
		return b, errTorn
	}
	if need := batchHead + int(length); cap(b) < need {
		b = append(make([]byte, 0, need+need/4), b...)
	}
	b = b[:batchHead+length]
	if _, err := io.ReadFull(in, b[batchHead:]); err != nil {
		if endOfFile(err) {
			err = errTorn
		}
		return b, err
	}
	if sumIn(b) != crc32.Checksum(b[batchHead:], castagnoli) {
		return b, errTorn
	}
	return b, nil
}

// restIsZero tells the zeros in front of the log from a batch whose beginning
// didn't reach the disk.
func restIsZero(in *bufio.Reader) error {
	var b [4096]byte
	for {
		n, err := in.Read(b[:])
		switch {
		case !isZero(b[:n]):
			return errTorn
		case errors.Is(err, io.EOF):
			return errEnd
		case err != nil:
			return err
		}
	}
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// followed reports whether there is a good batch behind the bad one at off, which has
// this head. If its length is good, what is looked at begins where the bad one ends;
// else nobody knows where that is, and a good batch may begin at any byte. Then one
// in a value of a torn batch, whose head didn't reach the disk but the value did, is
// taken for one of the log: a false alarm, but nothing is lost.
func followed(f io.ReaderAt, off int64, head []byte, size int64) (bool, error) {
	at := off + batchHead + 1
	if length, ok := lengthIn(head); ok {
		at = off + batchHead + length
	}
	in := bufio.NewReaderSize(io.NewSectionReader(f, at, size-at), 1<<16)
	const looks = 100_000 // a fraction of a second
	room := make([]byte, 1<<16)
	for looked, summed := 0, int64(0); ; at++ {
		head, err := in.Peek(batchHead)
		if endOfFile(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if length, ok := lengthIn(head); ok && length <= size-at-batchHead {
			// The batches of a log are no longer than it. More are heads in a value, and
			// to sum up all that is behind each could take days. Each costs a read, too.
			summed += batchHead + length
			if looked++; summed > size || looked > looks {
				return true, nil
			}
			sum := crc32.New(castagnoli)
			if _, err := io.CopyBuffer(sum, io.NewSectionReader(f, at+batchHead, length), room); err != nil {
				return false, err
			}
			if sum.Sum32() == sumIn(head) {
				return true, nil
			}
		}
		_, _ = in.Discard(1) // it was peeked at
	}
}
