package demo

import (
	"fmt"
	"math/rand/v2"
	"sync"
)

type person struct{ name, mail, street, city, country string }

var people = []person{
	{"Ada Lindqvist", "ada.lindqvist@example.com", "Storgatan 12", "Malmö", "SE"},
	{"山田 太郎", "taro.yamada@example.com", "丸の内 1-9-1", "東京", "JP"},
	{"Miguel Ortega", "miguel.ortega@example.com", "Calle Mayor 3", "León", "ES"},
	{"Zoë Okafor", "zoe.okafor@example.com", "12 Marina Road", "Lagos", "NG"},
	{"Jürgen Weiß", "juergen.weiss@example.com", "Hauptstraße 7", "Köln", "DE"},
	{"김민지", "minji.kim@example.com", "세종대로 110", "서울", "KR"},
	{"Priya Raman", "priya.raman@example.com", "4 Anna Salai", "Chennai", "IN"},
	{"Łukasz Żak", "lukasz.zak@example.com", "ul. Długa 22", "Kraków", "PL"},
}

var goods = []item{
	{SKU: "MUG-BLUE", Title: "Mug, blue", Cents: 1290},
	{SKU: "PEN-BRUSH", Title: "筆ペン (brush pen)", Cents: 640, Options: map[string]any{"ink": map[string]any{"colour": "墨", "refill": true}}},
	{SKU: "LAMP-ARC", Title: "Arc lamp", Cents: 18900, Options: map[string]any{"plug": "F", "watts": 9}},
	{SKU: "NOTE-A5", Title: "Notebook A5", Cents: 890},
	{SKU: "CHAIR-OAK", Title: "Chair, oak", Cents: 24900},
}

// shop is the state that jobs read and change.
type shop struct {
	mu     sync.Mutex
	rng    *rand.Rand
	number int
	stock  map[string]int
	asked  map[string]int
}

func newShop() *shop {
	return &shop{rng: rand.New(rand.NewPCG(1, 2)), number: 40, stock: map[string]int{}, asked: map[string]int{}}
}

// pick returns a number from 0 to n-1.
func (s *shop) pick(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(n)
}

// next returns the next document number, such as INV-2026-00041.
func (s *shop) next(kind string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	return fmt.Sprintf("%s-2026-%05d", kind, s.number)
}

// take removes n pieces, or orders a new delivery if there are not enough.
func (s *shop) take(sku string, n int) (left int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stock[sku] < n {
		s.stock[sku] += 40
		return 0, false
	}
	s.stock[sku] -= n
	return s.stock[sku], true
}

// paid reports whether an invoice is paid, which takes until somebody has asked twice.
func (s *shop) paid(invoice string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[invoice]++
	if s.asked[invoice] < 3 {
		return false
	}
	delete(s.asked, invoice)
	return true
}

func (s *shop) customer() customer {
	p := people[s.pick(len(people))]
	return customer{
		ID: 9007199254740993 + int64(s.pick(1_000_000))*2, Name: p.name, Mail: p.mail,
		Address: address{p.street, p.city, p.country},
	}
}

func (s *shop) items() []item {
	out := make([]item, 1+s.pick(3))
	first := s.pick(len(goods))
	for i := range out {
		out[i] = goods[(first+i)%len(goods)]
		out[i].Quantity = 1 + s.pick(3)
	}
	return out
}
