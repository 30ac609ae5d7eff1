package store

// readBeforeTrim is how many bytes of contents may be read through the file's
// mapping before its pages are given back to the kernel. They stay in the page
// cache, but count no longer as memory of this process.
const readBeforeTrim = 64 << 20

// trim is called between transactions by the only writer, so that the mapping
// does not move meanwhile.
func (f *File) trim() {
	if f.read.Load() > readBeforeTrim {
		f.read.Store(0)
		f.dropMapping()
	}
}
