// Package blocking is Go's blocking world over a proactor: a net.Listener,
// net.Conn, net.PacketConn or file whose methods wait until the loop has done the
// work. With it programs that know only those (net/http, crypto/tls, database
// drivers) run on the engine that the rest of the program uses.
//
// A [Net] has a loop. [New] makes one that runs on a goroutine of its own, [On] takes
// a loop that somebody else runs, and the functions of the package use one that is
// made when it is first needed and lives as long as the program ([Default]).
//
// # What waits, and what doesn't
//
// A Read is one operation of the loop, into the caller's slice: the kernel moves the
// data, and then the goroutine is woken. A Write is tried at once on the caller's own
// goroutine, and only what the kernel doesn't take is an operation. So is a Read when
// the one before it filled its slice, because then there is likely more.
//
// A goroutine that waits can't be a callback of the same loop: the loop would wait
// for itself. Methods that would wait there return [ErrInside] instead. Close may be
// called there; then it doesn't wait.
//
// # Memory
//
// A slice given to a method is the kernel's until the method returns, and never
// longer: when a deadline or a context ends the wait, the operation is cancelled, and
// the method returns when the kernel has let go of the slice. A disk read that is
// running can't be interrupted, so there it may take a moment.
//
// # Errors and deadlines
//
// They are those of packages net and os: io.EOF, *net.OpError and *fs.PathError around
// the system call's error, net.ErrClosed (os.ErrClosed for files),
// os.ErrDeadlineExceeded. A deadline can be set at any time, by any goroutine, also
// for calls that already wait. A Write that a deadline ends returns how much was
// written, and the connection can be used further.
//
// All methods may be called by any goroutine. Reads of one connection take their turn,
// and so do writes; a read and a write don't wait for each other.
package blocking
