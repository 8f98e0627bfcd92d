module github.com/seed-2ff0fea0/go-proactor/bench/peers

go 1.26.0

require (
	github.com/cloudwego/netpoll v0.7.2
	golang.org/x/sys v0.19.0
)

require (
	github.com/bytedance/gopkg v0.1.1 // indirect
	github.com/cloudwego/gopkg v0.1.4 // indirect
)
