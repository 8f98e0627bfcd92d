module github.com/seed-2ff0fea0/go-proactor/examples/interop

go 1.26.0

require (
	github.com/seed-2ff0fea0/go-proactor v0.0.0
	github.com/stretchr/testify v1.12.1
	golang.org/x/net v0.62.0
)

require (
	github.com/pawelgaczynski/giouring v0.0.0-20230826085535-69588b89acb9 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/seed-2ff0fea0/go-proactor => ../..
