//go:build linux

package optest

import (
	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule11 = []test{
	{"Rule11_AFloodDoesNotStarveAQuietConnection", floodAndQuiet},
	{"Rule11_AFloodDoesNotStarveATimer", floodAndTimer},
	{"Rule11_AFloodDoesNotStarvePost", floodAndPost},
	{"Rule11_AFloodDoesNotStarveItsOwnSends", floodAndOwnSend},
	{"Rule11_AFloodDoesNotStarveCancel", floodAndCancel},
	{"Rule11_AnEndlessChainDoesNotStarveAConnection", chainAndQuiet},
	{"Rule11_AnEndlessChainDoesNotStarveATimer", chainAndTimer},
	{"Rule11_AnEndlessChainDoesNotStarvePost", chainAndPost},
	{"Rule11_AnEndlessChainDoesNotStarveAFile", chainAndFile},
	{"Rule11_AnEndlessChainOfPostsDoesNotStarveOperations", chainOfPosts},
	{"Rule11_ATurnRunsAsManyCallbacksAsTheBatchAllows", batchHonoured},
	{"Rule11_ATurnRunsAsManyPostedFunctionsAsTheBatchAllows", batchOfPosts},
}

// patient is how many callbacks of a busy neighbour may come before one that is
// due. What comes first is a matter of turns, not of time: the neighbour's queue
// is 16 long, so this is about thirty turns.
const patient = 500

// neighbour is busy without end. One of its callbacks makes something due, and
// counts how many more of them come before that.
type neighbour struct {
	e     *env
	again func(*op.Op) *op.Op // prepares what it does all the time
	prod  func()
	count int // its callbacks
	since int // the count when prod was called
	late  chan int
	stop  bool
}

// flood is a neighbour that receives from a peer that writes as fast as it can,
// with 16 receives always in line. Start lets it loose.
func flood(e *env) (n *neighbour, h *op.Handle) {
	h, peer := e.pair()
	n = &neighbour{e: e, late: make(chan int, 1)}
	n.again = func(o *op.Op) *op.Op { return o.Recv(h, make([]byte, 64)) }
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		chunk := make([]byte, 1<<16)
		for {
			if _, err := peer.Write(chunk); err != nil {
				return
			}
		}
	}()
	e.Cleanup(func() {
		peer.Close()
		await(e, ended)
	})
	return n, h
}

// chain is a neighbour of 16 operations whose callbacks submit them anew.
func chain(e *env) *neighbour {
	return &neighbour{e: e, late: make(chan int, 1), again: (*op.Op).Nop}
}

// start makes something due with prod, amid the neighbour's business, and
// checks that it comes soon. What prod starts must call came.
func (n *neighbour) start(prod func()) {
	n.e.Helper()
	n.prod = prod
	for range 16 {
		n.e.submit(n.again(&op.Op{Done: n.done}))
	}
	require.Less(n.e, await(n.e, n.late), patient, "callbacks of the neighbour came before it")
}

func (n *neighbour) done(o *op.Op) {
	if _, err := o.Result(); err != nil || n.stop {
		return
	}
	if n.count++; n.count == 1000 { // warm
		n.since = n.count
		n.prod()
	}
	_, err := n.e.loop.Submit(n.again(o))
	require.NoError(n.e, err)
}

// came is called by the callback that was made due.
func (n *neighbour) came() {
	n.stop = true
	n.late <- n.count - n.since
}

// quiet returns a prod that sends to a connection that has been waiting for long.
func (n *neighbour) quiet() func() {
	e := n.e
	h, peer := e.rawPair(unix.SOCK_STREAM)
	rounds := 0
	var o op.Op
	b := make([]byte, 1)
	o.Done = func(o *op.Op) {
		if rounds++; rounds == 3 { // a ping-pong of three rounds
			n.came()
			return
		}
		e.submit(o.Recv(h, b))
		unix.Write(peer, b)
	}
	e.submit(o.Recv(h, b))
	e.settle()
	return func() { unix.Write(peer, b) }
}

func (n *neighbour) timer() func() {
	o := &op.Op{Done: func(*op.Op) { n.came() }}
	return func() { n.e.submit(o.Timeout(0)) }
}

func (n *neighbour) post() func() {
	return func() { require.NoError(n.e, n.e.loop.Post(n.came)) }
}

func floodAndQuiet(e *env) {
	e.start()
	n, _ := flood(e)
	n.start(n.quiet())
}

func floodAndTimer(e *env) {
	e.start()
	n, _ := flood(e)
	n.start(n.timer())
}

func floodAndPost(e *env) {
	e.start()
	n, _ := flood(e)
	n.start(n.post())
}

func floodAndOwnSend(e *env) {
	e.start()
	n, h := flood(e)
	o := &op.Op{Done: func(*op.Op) { n.came() }}
	n.start(func() { e.submit(o.Send(h, []byte("x"))) })
}

func floodAndCancel(e *env) {
	e.start()
	n, _ := flood(e)
	h, _ := e.rawPair(unix.SOCK_STREAM)
	k := e.submit((&op.Op{Done: func(*op.Op) { n.came() }}).Recv(h, make([]byte, 1)))
	n.start(func() { e.loop.Cancel(k) })
}

func chainAndQuiet(e *env) {
	e.start()
	n := chain(e)
	n.start(n.quiet())
}

func chainAndTimer(e *env) {
	e.start()
	n := chain(e)
	n.start(n.timer())
}

func chainAndPost(e *env) {
	e.start()
	n := chain(e)
	n.start(n.post())
}

// A file's read may need a worker, whose time isn't counted in turns: it must
// come at all.
func chainAndFile(e *env) {
	e.start()
	n := chain(e)
	h, _ := e.file([]byte("contents"))
	c := newCensus(1)
	n.prod = func() { e.submit(c.op(0).ReadAt(h, make([]byte, 8), 0)) }
	for range 16 {
		e.submit(n.again(&op.Op{Done: n.done}))
	}
	await(e, c.all)
	require.Equal(e, result{8, nil}, c.results[0])
	e.onLoop(func() { n.stop = true })
}

// A posted function that posts itself for ever is a chain, too.
func chainOfPosts(e *env) {
	e.start()
	n := &neighbour{e: e, late: make(chan int, 1)}
	prod := n.quiet()
	var again func()
	again = func() {
		if n.stop {
			return
		}
		if n.count++; n.count == 1000 {
			n.since = n.count
			prod()
		}
		require.NoError(e, e.loop.Post(again))
	}
	for range 16 {
		require.NoError(e, e.loop.Post(again))
	}
	require.Less(e, await(e, n.late), patient)
}

// turns counts callbacks by turn: a turn begins with a call of the engine.
type turns struct{ now, most, sum int }

func (t *turns) begin() { t.now = 0 }

func (t *turns) callback() {
	t.now++
	t.sum++
	t.most = max(t.most, t.now)
}

func batchHonoured(e *env) {
	const batch, n = 8, 1000
	var t turns
	e.tapped().turn = t.begin
	e.start(proactor.WithBatch(batch))
	all := make(chan struct{})
	e.onLoop(func() {
		for range n {
			e.submit((&op.Op{Done: func(*op.Op) {
				if t.callback(); t.sum == n {
					close(all)
				}
			}}).Nop())
		}
	})
	await(e, all)
	require.Equal(e, batch, t.most, "callbacks in one turn")
}

func batchOfPosts(e *env) {
	const batch, n = 8, 1000
	var t turns
	e.tapped().turn = t.begin
	e.start(proactor.WithBatch(batch))
	all := make(chan struct{})
	e.onLoop(func() {
		for range n {
			require.NoError(e, e.loop.Post(func() {
				if t.callback(); t.sum == n {
					close(all)
				}
			}))
		}
	})
	await(e, all)
	require.Equal(e, batch, t.most, "posted functions in one turn")
}
