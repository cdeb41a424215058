package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/wneessen/go-mail"

	"hookline/internal/postgres"
	"hookline/internal/seal"
)

// Mail is one message of plain text.
type Mail struct {
	To      string
	Subject string
	Text    string
}

// mailPlace is where a mail stands sealed. Mails belong to people, not to tenants: the zero tenant.
const mailPlace = "mails.sealed"

// Sealed is the column of mails that wait to be sent, or are kept. No tenant owns them.
var Sealed = []seal.Column{
	{
		Place: mailPlace,
		Count: `
			SELECT count(*) FROM mails
			WHERE substring(sealed FROM 1 FOR length(@prefix::bytea)) = @prefix`,
		Find: `
			SELECT id::text, sealed FROM mails
			WHERE substring(sealed FROM 1 FOR length(@prefix::bytea)) = @prefix LIMIT @most`,
		Put: `
			UPDATE mails SET sealed = n.sealed FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
			WHERE mails.id::text = n.id AND mails.sealed = n.old`,
	},
}

// Outbox writes mails into the transaction that causes them. With Jobs set a job sends each; without, mails are
// kept, to be read at a page on a machine that has no mail server.
type Outbox struct {
	Keys *seal.Keys
	Jobs *river.Client[pgx.Tx] // nil: kept
}

// Post writes a mail, to be sent once the transaction commits.
func (o *Outbox) Post(ctx context.Context, tx pgx.Tx, m Mail) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("posting a mail: %w", err)
	}
	id := uuid.Must(uuid.NewV7())
	sealed := o.Keys.Seal(body, [16]byte{}, mailPlace, id.String())
	if _, err := tx.Exec(ctx, `INSERT INTO mails (id, sealed) VALUES (@id, @sealed)`,
		pgx.StrictNamedArgs{"id": id, "sealed": sealed}); err != nil {
		return fmt.Errorf("posting a mail: %w", err)
	}
	if o.Jobs == nil {
		return nil
	}
	if _, err := o.Jobs.InsertTx(ctx, tx, SendMailArgs{MailID: id}, nil); err != nil {
		return fmt.Errorf("posting a mail: %w", err)
	}
	return nil
}

// Kept is a mail that waits to be read.
type Kept struct {
	ID uuid.UUID
	At time.Time
	Mail
}

// KeptMails lists the newest mails that nobody sends, for the page that stands in for a mail server.
func (o *Outbox) KeptMails(ctx context.Context, db *postgres.DB) ([]Kept, error) {
	var kept []Kept
	err := db.Directory(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT id, sealed, created_at FROM mails WHERE sent_at IS NULL ORDER BY id DESC LIMIT 50`)
		if err != nil {
			return err
		}
		kept, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Kept, error) {
			var k Kept
			var sealed []byte
			if err := row.Scan(&k.ID, &sealed, &k.At); err != nil {
				return k, err
			}
			if k.Mail, err = o.open(sealed, k.ID); err != nil {
				k.Mail = Mail{Subject: "This mail cannot be opened", Text: err.Error()} // the others can be
			}
			return k, nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading kept mails: %w", err)
	}
	return kept, nil
}

func (o *Outbox) open(sealed []byte, id uuid.UUID) (Mail, error) {
	body, err := o.Keys.Open(sealed, [16]byte{}, mailPlace, id.String())
	if err != nil {
		return Mail{}, err
	}
	var m Mail
	if err := json.Unmarshal(body, &m); err != nil {
		return Mail{}, fmt.Errorf("reading mail %s: %w", id, err)
	}
	return m, nil
}

// SendMailArgs ask for one mail to be sent.
type SendMailArgs struct {
	MailID uuid.UUID `json:"mail_id"`
}

// Kind names the job.
func (SendMailArgs) Kind() string { return "send_mail" }

// SendMail is the worker that sends a mail. A mail that was sent before is not sent again; one that was accepted by
// the mail server just before a crash may be.
type SendMail struct {
	river.WorkerDefaults[SendMailArgs]
	DB     *postgres.DB
	Outbox *Outbox
	Send   func(ctx context.Context, m Mail) error
}

// Timeout ends a try: mail servers that hang are tried again later.
func (w *SendMail) Timeout(*river.Job[SendMailArgs]) time.Duration { return 30 * time.Second }

// Work sends the mail and wipes its text, which may hold a link that opens an account.
func (w *SendMail) Work(ctx context.Context, job *river.Job[SendMailArgs]) error {
	id := job.Args.MailID
	var sealed []byte
	err := w.DB.Directory(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT sealed FROM mails WHERE id = @id AND sent_at IS NULL`,
			pgx.StrictNamedArgs{"id": id}).Scan(&sealed)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading mail %s: %w", id, err)
	}
	m, err := w.Outbox.open(sealed, id)
	if err != nil {
		return river.JobCancel(err)
	}
	if err := w.Send(ctx, m); err != nil {
		return err
	}
	// Recorded even when the job's time is over: what was sent was sent.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return w.DB.Directory(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE mails SET sent_at = now(), sealed = '' WHERE id = @id`, pgx.StrictNamedArgs{"id": id})
		return err
	})
}

// SMTP makes a sender from smtp://user:pass@host:587 or smtps://…; from is the sender's address. Text in headers is
// encoded by the library: a line break in a name cannot add one.
func SMTP(address seal.Secret, from string) (func(context.Context, Mail) error, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil {
		return nil, errors.New("the mail server's URL cannot be read") // the parse error would repeat the password
	}
	options := []mail.Option{mail.WithTimeout(20 * time.Second)}
	loopback := u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost" || u.Hostname() == "::1"
	switch {
	case u.Scheme == "smtps":
		options = append(options, mail.WithSSL())
	case loopback:
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if port := u.Port(); port != "" {
		n, err := strconv.Atoi(port)
		if err != nil {
			return nil, fmt.Errorf("the mail server's port %q is no number", port)
		}
		options = append(options, mail.WithPort(n))
	}
	if u.User != nil {
		password, _ := u.User.Password()
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(u.User.Username()), mail.WithPassword(password))
	}
	return func(ctx context.Context, m Mail) error {
		client, err := mail.NewClient(u.Hostname(), options...)
		if err != nil {
			return fmt.Errorf("reaching the mail server: %w", err)
		}
		msg := mail.NewMsg()
		if err := msg.FromFormat("Hookline", from); err != nil {
			return fmt.Errorf("addressing a mail: %w", err)
		}
		if err := msg.To(m.To); err != nil {
			return river.JobCancel(errors.New("the address cannot be written to"))
		}
		msg.Subject(m.Subject)
		msg.SetBodyString(mail.TypeTextPlain, m.Text)
		if err := client.DialAndSendWithContext(ctx, msg); err != nil {
			return fmt.Errorf("sending a mail: %w", err)
		}
		return nil
	}, nil
}
