package op

// Getxattr prepares getxattr(2): the value of the attribute of the file with a path,
// behind symbolic links, into value. The result is its length; with an empty value
// memory that is all that happens. ERANGE: it is longer than the memory. ENODATA:
// the file has no such attribute. EOPNOTSUPP: the file system has none.
func (o *Op) Getxattr(path, name string, value []byte) *Op {
	return o.files(Getxattr, nil, &Args{Value: value}, path, name)
}

// Fgetxattr is Getxattr of an open file: fgetxattr(2).
func (o *Op) Fgetxattr(t Target, name string, value []byte) *Op {
	return o.files(Getxattr, t, &Args{Value: value}, "", name)
}

// Setxattr prepares setxattr(2); flags are XATTR_CREATE, XATTR_REPLACE or 0.
func (o *Op) Setxattr(path, name string, value []byte, flags int) *Op {
	return o.files(Setxattr, nil, &Args{Value: value, Flags: uint32(flags)}, path, name)
}

// Fsetxattr is Setxattr of an open file: fsetxattr(2).
func (o *Op) Fsetxattr(t Target, name string, value []byte, flags int) *Op {
	return o.files(Setxattr, t, &Args{Value: value, Flags: uint32(flags)}, "", name)
}

// Listxattr prepares listxattr(2): the names of the attributes, each with a NUL at
// its end, into names. The result is their length in bytes, as that of Getxattr.
func (o *Op) Listxattr(path string, names []byte) *Op {
	return o.files(Listxattr, nil, &Args{Value: names}, path)
}

// Flistxattr is Listxattr of an open file: flistxattr(2).
func (o *Op) Flistxattr(t Target, names []byte) *Op {
	return o.files(Listxattr, t, &Args{Value: names})
}

// Removexattr prepares removexattr(2).
func (o *Op) Removexattr(path, name string) *Op {
	return o.files(Removexattr, nil, &Args{}, path, name)
}

// Fremovexattr is Removexattr of an open file: fremovexattr(2).
func (o *Op) Fremovexattr(t Target, name string) *Op {
	return o.files(Removexattr, t, &Args{}, "", name)
}
