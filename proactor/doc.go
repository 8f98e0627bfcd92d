// Package proactor does asynchronous I/O by completion: the caller submits an
// operation (accept, connect, recv, send, a file read, fsync, a timer, ...) with
// the memory that it needs, the kernel moves the data, and only then does the
// caller's completion callback run. On Linux the engine is io_uring; where that
// is missing or forbidden, epoll and a bounded pool of workers keep the same
// contract.
//
// # Terms
//
// A [Loop] executes operations on one engine and runs their callbacks. A handle
// ([Conn], [Listener], [File], or a bare [Handle]) is a descriptor that a loop
// looks after. An operation is submitted once and completes once: between the
// two it is in flight. What is submitted through a handle's methods takes a
// closure; what is submitted as an [Op] costs no allocation, because the Op is
// the caller's and is used again:
//
//	type session struct {
//		conn   *proactor.Conn
//		rd, wr proactor.Op
//		buf    [4096]byte
//	}
//	s.rd.Done = s.received                                      // once
//	ticket, err := loop.Submit(s.rd.Recv(s.conn, s.buf[:]))     // as often as you like
//	func (s *session) received(o *proactor.Op) { n, err := o.Result(); ... }
//
// # Buffers
//
// [Conn.RecvEach] and [PacketConn.RecvEach] receive into Buffers of the loop's pool,
// chosen when there is data: an idle connection holds none. A [Buffer] belongs to the
// callback that it came to, which keeps it, calls Release (on any goroutine, once; it
// may be late: the memory outlives the loop), or hands it to [Conn.SendBuffer] or
// [PacketConn.SendBuffer], which releases it, also if it returns an error. ([Op].SendBuffer,
// as all operations of your own, leaves it yours if Submit refuses.) When the pool is
// empty or a connection has as many Buffers out as [WithQuota] allows, its receiving
// pauses and goes on by itself when Buffers come back; nothing is lost. A Buffer that is
// never released doesn't come back, not even when its connection is closed.
// [Conn.PauseRecv] and [Conn.SetWaterMarks] are for holding a peer back. Keep little data
// for long with Buffer.Copy, not in the Buffer.
//
// # States of an operation
//
//	yours      the zero Op, and every Op whose final callback has begun
//	prepared   a verb (Recv, Send, ReadAt, ...) has been called; still yours
//	in flight  from Submit until the final callback: the loop's, with its memory
//
// The operations of a [Chain] are in flight from [Loop.Chain] on, also those that wait
// for the ones before them. A zero-copy send is in flight until the kernel needs its
// memory no more.
//
// A multishot operation (AcceptEach, RecvEach) is in flight until its final
// callback, too; those before it are marked More.
//
// # The contract
//
//  1. Once. Each operation that Submit accepted gets exactly one final callback.
//     A multishot operation may have any number before it, each marked More. Submit on
//     a closed loop or handle returns an error and the operation stays the caller's:
//     accepted or refused, nothing between.
//  2. Posted. Callbacks run on the loop's goroutine, one at a time, never inside
//     Submit.
//  3. FIFO for each handle and direction: sends go out in the order submitted,
//     receives are filled in that order; a one-shot behind a multishot waits for
//     its final callback. The callback of a zero-copy send, which waits for the
//     kernel to be done with the memory, can come behind those of later sends. No
//     order is promised across handles or between file operations.
//  4. Ownership. From Submit, or the call of a method that takes a callback, until
//     the final callback the operation and its memory belong to the loop, also after
//     Cancel, a deadline, or Close. Where the callback given is nil, until that of
//     the handle's Close, which comes behind all. What is refused stays the caller's,
//     but for the Buffer given to a method SendBuffer, which releases it then, too.
//  5. Whole sends. A send completes when everything is sent, or with an error
//     and the count so far. After a send that stopped part-way, those behind it
//     on that handle fail with [ErrTorn]. A receive completes with at least one
//     byte, io.EOF, or an error. Short file reads follow io.ReaderAt.
//  6. Cancel and deadlines request the end: the result is the operation's real
//     one, or the bytes moved and [ErrCanceled] or os.ErrDeadlineExceeded. A
//     disk read or a worker's system call that is running can't be interrupted:
//     its callback comes when it ends. A [Ticket] names one submission, so a
//     late cancel never hits the next use of the same Op. The time-out of a
//     multishot operation is the longest time between two of its completions.
//  7. Close of a handle flushes the queued sends (up to the linger time), ends
//     receives and accepts, then closes the descriptor: the peer sees the end of
//     the stream although a receive was pending. (Linux resets the connection if
//     input was left unread; a duplicate of the descriptor keeps it open.) Abort
//     cancels everything at once. Later submissions fail with net.ErrClosed;
//     every pending operation gets its callback; Close's own is the last. An
//     operation that names two handles holds both.
//  8. Close of a loop cancels, runs all callbacks, and only then releases
//     memory. With a context that ends sooner it returns then, and what the
//     kernel still holds is kept for ever rather than reused.
//  9. No leaks. A descriptor that an operation produced after Cancel is
//     delivered; after Close it is closed and the callback gets net.ErrClosed.
//  10. Bounds. Operations owned by the caller wait in line, however many; they
//     are never lost, reordered, or refused for a full ring. What the library
//     owns (Post, operations behind the closure verbs, Buffers) has a limit that
//     can be set, and answers [ErrFull], or pauses receiving, at it. [Loop.Stats] shows every queue.
//  11. Fairness. A turn makes one attempt for each handle and direction (which,
//     multishot, brings a few dozen pieces at most), and runs a bounded number of
//     callbacks.
//  12. Any goroutine may call Submit, Cancel, Close and Post. What happened
//     before Submit is visible in the callback, and what the callback did before
//     it returned is visible to whoever it signals. That includes the kernel's
//     writes into a buffer, which the race detector doesn't see.
//  13. Same on both engines: results, errors, and order (by rule 3).
//  14. A panic or runtime.Goexit in a callback leaves the loop closable; a panic
//     comes out of Run with its stack, never swallowed.
//
// # Threads
//
// [Loop.Run] locks its goroutine to a thread; with [WithNetpoller] it does so only
// while callbacks run, and waits as goroutines do. Callbacks must not block: while
// one runs, nothing else of the loop does. Long work belongs on a goroutine of
// its own, which comes back with Submit or [Loop.Post].
//
// # Choice of the engine
//
// [WithEngineName], else the environment variable PROACTOR_ENGINE (auto,
// io_uring, epoll), else io_uring if it proves to work and epoll if not.
// [Loop.Engine] tells which, and why. PROACTOR_AIO=off ([AIOVar]) leaves
// O_DIRECT to the workers of epoll.
//
// # Map
//
//   - Loops: [New] makes a [Loop], with each [Option]; [Loop.Run], or [Loop.RunOnce] for a
//     program that has a loop of its own; [NewGroup] makes several, a [Group] with
//     [GroupOptions], the [Report] of its end, and the [Panic] of a callback.
//   - Streams: [Loop.Listen], [Listener], [ListenConfig]; [Loop.Dial], [Dialer]; [Conn]
//     with [Conn.SendFile] and [Conn.Busy], [Cred]; [Pipe] makes a [Relay] of two.
//   - Datagrams: [Loop.ListenPacket], [Loop.DialPacket], [PacketConn], [ControlKind].
//   - Files: [Loop.OpenFile], [File], [ToTheEnd]; by name [Loop.Stat], [Loop.Rename],
//     [Loop.ReadDir], [Loop.Getxattr] and so on, [FileInfo] with its [Statx]; for O_DIRECT
//     [Loop.Memory] and [AlignRange].
//   - Time: [Loop.After], [Loop.At], [Timer]; [Loop.Every], [Ticker].
//   - The system: [Loop.Signals], [SignalWatch]; [Loop.WaitProcess]; [Loop.NewEvent], [Event].
//   - Goroutines: [Loop.Post] and [Loop.PostTo] to a loop, [Loop.Go] away from it, [Conn.Move]
//     from one to another; code that blocks: package proactor/blocking.
//   - What is there already: [Loop.AdoptConn], [Loop.AdoptFile] and so on, for packages net
//     and os; [Loop.NewConn], [Loop.NewFile] and so on, and [Loop.Register], for descriptors.
//   - Operations of one's own: [Op] with its [Code] and [Target], [Loop.Submit], [Ticket],
//     [Loop.Cancel], [Loop.Chain], [Chain], [Loop.Supports]; what they take and bring: [Handle],
//     [Buffer], [Message] with its [Control], [Sockaddr], [Exit].
//   - Errors: [ErrCanceled], [ErrClosed], [ErrFull], [ErrInvalid], [ErrNotFound], [ErrPending],
//     [ErrRunning], [ErrTorn].
//   - Limits: [WithEntries], [WithWorkers], [WithMaxPosts], [WithMaxCalls], [WithMaxWork],
//     [WithBatch], [WithLinger], [WithBuffers], [WithQuota], [WithZeroCopyFrom].
//   - The engine, and how it waits: [WithEngineName], [EngineVar], [AIOVar], [WithEngine];
//     [WithBusyPoll], [WithNetpoller].
//   - What goes on: [Loop.Stats], [Stats]; [WithSlowCallback], [SlowCallback].
package proactor
