package blocking

import "sync"

// CloseDefault ends the Default Net, and has the next call make another.
func CloseDefault() error {
	n, err := Default()
	ofProgram = sync.OnceValues(func() (*Net, error) { return New() })
	if err != nil {
		return err
	}
	return n.Close()
}
