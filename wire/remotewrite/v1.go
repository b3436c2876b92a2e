package remotewrite

// AppendV1 appends the same samples as a request of version 1 (prometheus.WriteRequest), for servers that answer 415 to
// version 2.
func (r *Request) AppendV1(dst []byte) []byte {
	said := map[string]bool{}
	var metadata []byte
	for _, s := range r.Series {
		b := r.appendLabelsV1(nil, s.Labels)
		for _, one := range s.Samples {
			b = appendSample(appendMessage(b, 2, sizeSample(one)), one)
		}
		for _, e := range s.Exemplars {
			x := r.appendLabelsV1(nil, e.Labels)
			x = appendInt(appendDouble(x, 2, e.Value), 3, e.Time)
			b = append(appendMessage(b, 3, len(x)), x...)
		}
		dst = append(appendMessage(dst, 1, len(b)), b...)
		if name := r.name(s.Labels); s.Metadata.Type != Unknown && !said[name] {
			said[name] = true
			metadata = r.appendMetadataV1(metadata, name, s.Metadata)
		}
	}
	return append(dst, metadata...)
}

func (r *Request) appendLabelsV1(dst []byte, labels []uint32) []byte {
	for i := 0; i+1 < len(labels); i += 2 {
		l := appendString(nil, 1, r.Symbols[labels[i]])
		l = appendString(l, 2, r.Symbols[labels[i+1]])
		dst = append(appendMessage(dst, 1, len(l)), l...)
	}
	return dst
}

func (r *Request) appendMetadataV1(dst []byte, name string, m Metadata) []byte {
	b := appendInt(nil, 1, int64(m.Type))
	b = appendString(b, 2, name)
	if m.Help != 0 {
		b = appendString(b, 4, r.Symbols[m.Help])
	}
	if m.Unit != 0 {
		b = appendString(b, 5, r.Symbols[m.Unit])
	}
	return append(appendMessage(dst, 3, len(b)), b...)
}

func (r *Request) name(labels []uint32) string {
	for i := 0; i+1 < len(labels); i += 2 {
		if r.Symbols[labels[i]] == "__name__" {
			return r.Symbols[labels[i+1]]
		}
	}
	return ""
}
