package queue

import (
	"context"
	"log/slog"
	"testing"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

func BenchmarkQueue(b *testing.B) {
	for name, cfg := range map[string]func(testing.TB) db.Config{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			d := dbtest.Open(b, cfg(b))
			q := New(Config{DB: d, Logger: slog.New(slog.DiscardHandler), Workers: 8})
			if err := d.Migrate(b.Context(), db.Module{Name: "queue", Migrations: q.Migrations()}); err != nil {
				b.Fatal(err)
			}
			ended := make(chan struct{}, 64)
			q.finished = func(kernel.ID) { ended <- struct{}{} }
			k := Register(q, "nothing", func(context.Context, args) error { return nil }, Options{})
			if err := q.Start(b.Context()); err != nil {
				b.Fatal(err)
			}
			defer q.Stop(context.Background())
			b.ResetTimer()
			go func() {
				for i := range b.N {
					d.Tx(context.Background(), func(tx *db.Tx) error { _, err := k.Insert(context.Background(), tx, args{i}); return err })
				}
			}()
			for range b.N {
				<-ended
			}
		})
	}
}
