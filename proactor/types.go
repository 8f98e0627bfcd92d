package proactor

import "github.com/seed-2ff0fea0/go-proactor/proactor/op"

// The vocabulary of package op that callers use.
type (
	// Op is one operation, owned by its caller. Its verbs, and the methods of the other
	// types here, are in the documentation of package op: go doc github.com/seed-2ff0fea0/go-proactor/proactor/op Op.Recv.
	Op = op.Op
	// Handle is a descriptor that a loop looks after, by Register.
	Handle = op.Handle
	// Ticket names one submission of an Op.
	Ticket = op.Ticket
	// Target is what an operation works on: a *Handle, *Conn, *Listener,
	// *PacketConn, *File, *Event.
	Target = op.Target
	// Sockaddr is a socket address as the kernel takes it.
	Sockaddr = op.Sockaddr
	// Buffer holds received data, from the loop's pool: op.Buffer has its methods.
	Buffer = op.Buffer
	// Message is a message with its address and its control data.
	Message = op.Message
	// Control is a sequence of control messages.
	Control = op.Control
	// Exit is how a child process ended, for Op.WaitID.
	Exit = op.Exit
	// Code names what an operation does.
	Code = op.Code
)

// The errors that are this library's own, to be asked for by errors.Is.
var (
	ErrCanceled = op.ErrCanceled // a Cancel, Stop or Abort has ended the operation
	ErrNotFound = op.ErrNotFound // what an Op.Cancel was to end is over
	ErrTorn     = op.ErrTorn     // an earlier send of the stream stopped part-way (rule 5)
	ErrFull     = op.ErrFull     // a queue of the library is at its limit (rule 10): try later
	ErrInvalid  = op.ErrInvalid  // arguments that no system call could take
	ErrPending  = op.ErrPending  // operations are under way on a connection that was to be moved
)

var (
	_ Target = (*Conn)(nil)
	_ Target = (*Listener)(nil)
	_ Target = (*File)(nil)
	_ Target = (*PacketConn)(nil)
	_ Target = (*Event)(nil)
)

// ToTheEnd as the count of a SendFile means: up to the end of the file.
const ToTheEnd = op.ToTheEnd
