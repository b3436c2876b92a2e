package demo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"github.com/kept-dev/kept/sdk/go/keptriver"
)

type address struct {
	Street  string `json:"street"`
	City    string `json:"city"`
	Country string `json:"country"`
}

type customer struct {
	ID      int64   `json:"id"` // larger than a float64 can hold exactly
	Name    string  `json:"name"`
	Mail    string  `json:"mail"`
	Address address `json:"address"`
}

type item struct {
	SKU      string         `json:"sku"`
	Title    string         `json:"title"`
	Quantity int            `json:"quantity"`
	Cents    int            `json:"cents"`
	Options  map[string]any `json:"options,omitempty"`
}

// placeOrder is the parent of a flow: it reserves, charges, packs and confirms.
type placeOrder struct {
	Order    string   `json:"order"`
	Customer customer `json:"customer"`
	Items    []item   `json:"items"`
}

func (placeOrder) Kind() string { return "place-order" }

func (d *Demo) placeOrder(ctx context.Context, job *river.Job[placeOrder]) error {
	o := job.Args
	total := 0
	children := []river.InsertManyParams{}
	for _, it := range o.Items {
		total += it.Cents * it.Quantity
		children = append(children, river.InsertManyParams{Args: reserveStock{Order: o.Order, SKU: it.SKU, Quantity: it.Quantity}})
	}
	keptriver.Log(ctx, "order checked", map[string]any{"items": len(o.Items), "total_cents": total})
	children = append(children,
		river.InsertManyParams{Args: chargeCard{
			Order: o.Order, Cents: total, PaymentID: o.Customer.ID*8 + 1,
			Gateway: gateway{URL: "https://shop:s3cret@pay.example.com/v1", APIKey: "demo-gateway-key", Card: "4242 4242 4242 4242"},
		}},
		river.InsertManyParams{Args: sendMail{To: o.Customer.Mail, Subject: "Your order " + o.Order, Template: "order-confirmation", Name: o.Customer.Name}},
	)
	if _, err := river.ClientFromContext[*sql.Tx](ctx).InsertMany(ctx, children); err != nil {
		return err
	}
	return river.RecordOutput(ctx, map[string]any{"total_cents": total, "jobs": len(children)})
}

type reserveStock struct {
	Order    string `json:"order"`
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

func (reserveStock) Kind() string { return "reserve-stock" }

func (reserveStock) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 3} }

// reserveStock takes from the shelf; an empty shelf is filled for the next try.
func (d *Demo) reserveStock(ctx context.Context, job *river.Job[reserveStock]) error {
	left, ok := d.shop.take(job.Args.SKU, job.Args.Quantity)
	if !ok {
		return fmt.Errorf("reserve %d of %s: %w", job.Args.Quantity, job.Args.SKU, errOutOfStock)
	}
	return river.RecordOutput(ctx, map[string]any{"left": left})
}

var errOutOfStock = errors.New("out of stock")

type gateway struct {
	URL    string `json:"url"`
	APIKey string `json:"api_key"`
	Card   string `json:"card"`
}

// chargeCard carries secrets on purpose: none of them leaves the process.
type chargeCard struct {
	Order     string  `json:"order"`
	Cents     int     `json:"cents"`
	PaymentID int64   `json:"payment_id"`
	Gateway   gateway `json:"gateway"`
}

func (chargeCard) Kind() string { return "charge-card" }

func (chargeCard) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: "billing", MaxAttempts: 3}
}

func (d *Demo) chargeCard(ctx context.Context, job *river.Job[chargeCard]) error {
	if job.Args.Cents > 60_000 {
		keptriver.Log(ctx, "amount is above the limit of this card", map[string]any{"limit_cents": 60_000})
		return river.JobCancel(fmt.Errorf("card declined for order %s", job.Args.Order))
	}
	if err := wait(ctx, time.Duration(20+job.Args.Cents%80)*time.Millisecond); err != nil {
		return err
	}
	d.exporter.euros.Add(float64(job.Args.Cents) / 100)
	return river.RecordOutput(ctx, map[string]any{"receipt": d.shop.next("RC"), "payment_id": job.Args.PaymentID})
}

type sendMail struct {
	To       string `json:"to"`
	Name     string `json:"name"`
	Subject  string `json:"subject"`
	Template string `json:"template"`
}

func (sendMail) Kind() string { return "send-mail" }

func (sendMail) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: "mail", MaxAttempts: 5} }

func (d *Demo) sendMail(ctx context.Context, job *river.Job[sendMail]) error {
	text := fmt.Sprintf("Hello %s,\n\nthis is %q from the demo shop.\n", job.Args.Name, job.Args.Template)
	if err := d.cfg.Mail(ctx, job.Args.To, job.Args.Subject, text); err != nil {
		return fmt.Errorf("deliver to mailbox: %w", err)
	}
	keptriver.Log(ctx, "mail delivered", map[string]any{"template": job.Args.Template, "bytes": len(text)})
	return nil
}

type awaitPayment struct {
	Invoice string `json:"invoice"`
	Cents   int    `json:"cents"`
}

func (awaitPayment) Kind() string { return "await-payment" }

func (awaitPayment) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: "billing"} }

// awaitPayment looks for a payment, and again a few seconds later.
func (d *Demo) awaitPayment(ctx context.Context, job *river.Job[awaitPayment]) error {
	if !d.shop.paid(job.Args.Invoice) {
		keptriver.Log(ctx, "not paid yet", nil)
		return river.JobSnooze(4 * time.Second)
	}
	return river.RecordOutput(ctx, map[string]any{"invoice": job.Args.Invoice, "paid": true})
}

type renderReport struct {
	Report  string   `json:"report"`
	Columns []string `json:"columns"`
}

func (renderReport) Kind() string { return "render-report" }

func (renderReport) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 2} }

// renderReport has a real bug: a report without columns is more than it expects.
func (d *Demo) renderReport(ctx context.Context, job *river.Job[renderReport]) error {
	width := columnWidth(job.Args.Columns)
	return river.RecordOutput(ctx, map[string]any{"width": width})
}

func columnWidth(columns []string) int { return len(columns[0]) * len(columns) }
