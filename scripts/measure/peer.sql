-- The peer: what one can reasonably write by hand for points in PostgreSQL, as fast as we know how. A transfer
-- debits one account and credits another, never below zero, once a reference. No signatures, no parties, no
-- rules, no lots, no proofs, no history by account.

CREATE TABLE account (
    id bigint PRIMARY KEY,
    balance bigint NOT NULL
);

CREATE TABLE transfer (
    reference text COLLATE "C" PRIMARY KEY,
    debit bigint NOT NULL,
    credit bigint NOT NULL,
    amount bigint NOT NULL,
    made timestamptz NOT NULL DEFAULT now()
);

-- One transfer. Accounts are locked in the order of their ids, so that two callers never wait for each other.
CREATE FUNCTION transfer(given_reference text, given_debit bigint, given_credit bigint, given_amount bigint)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO transfer (reference, debit, credit, amount)
    VALUES (given_reference, given_debit, given_credit, given_amount) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 'ALREADY_DONE';
    END IF;
    IF given_credit < given_debit THEN
        UPDATE account SET balance = balance + given_amount WHERE id = given_credit;
    END IF;
    UPDATE account SET balance = balance - given_amount WHERE id = given_debit AND balance >= given_amount;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'INSUFFICIENT_POINTS';
    END IF;
    IF given_credit > given_debit THEN
        UPDATE account SET balance = balance + given_amount WHERE id = given_credit;
    END IF;
    RETURN 'OK';
END $$;

-- Many transfers, in order: each sees what those before it left. Balances are read once and written once; in
-- between they are counted in memory. Batches come one after the other, which the advisory lock says; so rows
-- need no locks of their own. Whose reference is free is found by taking it; what then turns out to lack points
-- gives it back. Returns how many were applied.
CREATE FUNCTION transfer_batch(refs text[], debits bigint[], credits bigint[], amounts bigint[])
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
    balances bigint[];
    debit_places int[];
    credit_places int[];
    fresh bigint;
    is_fresh boolean[];
    lacking text[] := '{}';
    place int;
    amount bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1);
    INSERT INTO transfer (reference, debit, credit, amount)
    SELECT t.reference, t.debit, t.credit, t.amount
    FROM unnest(refs, debits, credits, amounts) AS t (reference, debit, credit, amount)
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS fresh = ROW_COUNT;
    IF fresh < cardinality(refs) THEN
        SELECT array_agg(t.xmin = pg_current_xact_id()::xid AND given.occurrence = 1 ORDER BY given.number)
        INTO is_fresh
        FROM (
            SELECT reference, number, row_number() OVER (PARTITION BY reference ORDER BY number) AS occurrence
            FROM unnest(refs) WITH ORDINALITY AS g (reference, number)
        ) AS given
        JOIN transfer AS t ON t.reference = given.reference COLLATE "C";
    END IF;
    SELECT array_agg(found.id), array_agg(found.balance) INTO ids, balances
    FROM (SELECT id, balance FROM account WHERE id = ANY (debits || credits)) AS found;
    SELECT array_agg(d.place ORDER BY t.number), array_agg(c.place ORDER BY t.number)
    INTO debit_places, credit_places
    FROM unnest(debits, credits) WITH ORDINALITY AS t (debit, credit, number)
    JOIN unnest(ids) WITH ORDINALITY AS d (id, place) ON d.id = t.debit
    JOIN unnest(ids) WITH ORDINALITY AS c (id, place) ON c.id = t.credit;
    FOR i IN 1 .. cardinality(refs) LOOP
        IF is_fresh[i] IS NOT FALSE THEN
            place := debit_places[i];
            amount := amounts[i];
            IF balances[place] >= amount THEN
                balances[place] := balances[place] - amount;
                place := credit_places[i];
                balances[place] := balances[place] + amount;
            ELSE
                lacking := lacking || refs[i];
            END IF;
        END IF;
    END LOOP;
    IF lacking <> '{}' THEN
        DELETE FROM transfer WHERE reference = ANY (lacking);
    END IF;
    UPDATE account SET balance = after.balance
    FROM unnest(ids, balances) AS after (id, balance) WHERE account.id = after.id;
    RETURN fresh - cardinality(lacking);
END $$;
