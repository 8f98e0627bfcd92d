// Package interop shows, by its tests, that servers and clients which know nothing of
// this library run over package blocking: net/http with TLS, HTTP/2 and WebSockets,
// gRPC, fasthttp, SSH; and that its connections pass the conformance tests of
// golang.org/x/net/nettest. It is a module of its own, so that the library doesn't
// depend on them. It needs Linux; the tests run on both engines.
package interop
