-- Texts say where: the address of a customer, sealed like their name.
ALTER TABLE customers ADD COLUMN IF NOT EXISTS address_sealed bytea;
