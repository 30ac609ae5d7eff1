package logger

// mustRedact reports whether the values of a key are kept out.
func (f *form) mustRedact(key string) bool {
	if f.redact == nil || len(key) > 64 {
		return false
	}
	var buf [64]byte
	lower := buf[:len(key)]
	for i := 0; i < len(key); i++ {
		c := key[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	_, ok := f.redact[string(lower)]
	return ok
}
