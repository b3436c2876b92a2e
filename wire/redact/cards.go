package redact

// cards finds payment card numbers: 14 to 19 digits of a known issuer whose check digit is right, bare or in groups set
// apart by one blank or dash each. Other groups may stand beside them.
func cards(out []span, s []byte) []span {
	for i := 0; i < len(s); {
		if class[s[i]]&digit == 0 || i > 0 && isAlnum(s[i-1]) {
			i++
			continue
		}
		groups, end := digitGroups(s, i)
		for len(groups) > 0 {
			n := cardAt(s, groups)
			if n > 0 {
				out = append(out, span{groups[0].from, groups[n-1].to})
			}
			groups = groups[max(n, 1):]
		}
		i = end
	}
	return out
}

// digitGroups reads digits in groups parted by single blanks or dashes from i on.
func digitGroups(s []byte, i int) (groups []span, end int) {
	for {
		from := i
		for i < len(s) && class[s[i]]&digit != 0 {
			i++
		}
		if i == len(s) || !isAlnum(s[i]) {
			groups = append(groups, span{from, i})
		} // else the digits run into a word, as in "12ab", and are no group
		if i+1 < len(s) && (s[i] == ' ' || s[i] == '-') && class[s[i+1]]&digit != 0 {
			i++
			continue
		}
		return groups, i
	}
}

// cardAt is how many of the first groups make a card number, or 0.
func cardAt(s []byte, groups []span) int {
	if first := s[groups[0].from]; first < '2' || first > '6' {
		return 0 // no issuer's; see hasIssuer
	}
	var number [maxCard]byte
	digits := number[:0]
	for n, g := range groups {
		if len(digits)+g.to-g.from > maxCard {
			return 0
		}
		digits = append(digits, s[g.from:g.to]...)
		if len(digits) >= minCard && hasIssuer(digits) && luhn(digits) {
			return n + 1
		}
	}
	return 0
}

// isCard tells whether a number as JSON has it is that of a card.
func isCard(digits []byte) bool {
	if len(digits) < minCard || len(digits) > maxCard {
		return false
	}
	for _, c := range digits {
		if class[c]&digit == 0 {
			return false
		}
	}
	return hasIssuer(digits) && luhn(digits)
}

// hasIssuer tells whether the length fits the issuer that the first digits name (ISO/IEC 7812).
func hasIssuer(d []byte) bool {
	four := int(d[0]-'0')*1000 + int(d[1]-'0')*100 + int(d[2]-'0')*10 + int(d[3]-'0')
	two := four / 100
	switch n := len(d); {
	case d[0] == '4': // Visa
		return n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		return n == 16
	case two == 34, two == 37: // American Express
		return n == 15
	case two == 36, two == 38, two == 39, four >= 3000 && four <= 3059: // Diners Club
		return n == 14 || n == 16
	case four >= 3528 && four <= 3589, two == 62, two == 64, two == 65, four == 6011: // JCB, UnionPay, Discover
		return n >= 16
	}
	return false
}

// luhn checks the check digit (ISO/IEC 7812-1, annex B).
func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		v := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}
