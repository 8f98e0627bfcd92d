package fallback

// RefuseAIO has the engine do without io_submit(2), as where it isn't allowed.
func (e *Engine) RefuseAIO() { e.aio.tried = true }
