CREATE TABLE slots (slot TEXT PRIMARY KEY, day TEXT NOT NULL, part TEXT NOT NULL, seats INTEGER NOT NULL CHECK (seats >= 0));
CREATE TABLE bookings (code TEXT PRIMARY KEY, name TEXT NOT NULL, persons INTEGER NOT NULL, slot TEXT, paid INTEGER NOT NULL, status TEXT NOT NULL);
CREATE TABLE prices (product TEXT PRIMARY KEY, euros INTEGER NOT NULL, minutes INTEGER NOT NULL);
CREATE TABLE forecasts (day TEXT PRIMARY KEY, wind INTEGER NOT NULL, rain INTEGER NOT NULL, words TEXT NOT NULL);
CREATE TABLE rules (topic TEXT PRIMARY KEY, words TEXT NOT NULL);
CREATE TABLE refunds (code TEXT PRIMARY KEY, euros INTEGER NOT NULL);
CREATE TABLE complaints (number INTEGER PRIMARY KEY, name TEXT NOT NULL, words TEXT NOT NULL);
CREATE TABLE phone_notes (number INTEGER PRIMARY KEY, words TEXT NOT NULL);
-- The result of each change for a request, stored in the same transaction: a repeated request is answered from here.
CREATE TABLE done (request TEXT NOT NULL, tool TEXT NOT NULL, given TEXT NOT NULL, result TEXT NOT NULL, PRIMARY KEY (request, tool, given));
CREATE TABLE outbox (request TEXT PRIMARY KEY, recipient TEXT NOT NULL, outcome TEXT NOT NULL, text TEXT NOT NULL);

INSERT INTO slots VALUES
  ('2026-06-13-morning', '2026-06-13', 'morning', 4), ('2026-06-13-afternoon', '2026-06-13', 'afternoon', 2),
  ('2026-06-15-morning', '2026-06-15', 'morning', 0), ('2026-06-15-afternoon', '2026-06-15', 'afternoon', 3),
  ('2026-06-16-morning', '2026-06-16', 'morning', 3), ('2026-06-16-afternoon', '2026-06-16', 'afternoon', 3),
  ('2026-06-17-morning', '2026-06-17', 'morning', 4), ('2026-06-19-morning', '2026-06-19', 'morning', 4);
INSERT INTO bookings VALUES
  ('AC-1002', 'Marie Curtis', 1, '2026-06-13-morning', 160, 'booked'),
  ('AC-1003', 'Steve Miller', 2, NULL, 320, 'cancelled by the school'),
  ('AC-1004', 'Paul Egger', 2, NULL, 360, 'flown'),
  ('AC-1005', 'Ines Rossi', 1, '2026-06-17-morning', 160, 'booked');
INSERT INTO prices VALUES ('panorama', 160, 20), ('thermal', 220, 40);
INSERT INTO forecasts VALUES
  ('2026-06-13', 12, 0, 'sunny, light valley wind'), ('2026-06-14', 18, 10, 'sunny, fresh in the afternoon'),
  ('2026-06-15', 10, 20, 'clouds and sun'), ('2026-06-16', 14, 10, 'sunny'),
  ('2026-06-17', 48, 70, 'foehn storm, thunder from noon'), ('2026-06-19', 11, 0, 'sunny and calm');
INSERT INTO rules VALUES
  ('weight', 'Tandem passengers weigh 25 to 110 kg.'),
  ('age', 'From 70 years on we ask for a doctor''s note.'),
  ('night', 'We fly between sunrise and one hour before sunset.'),
  ('animals', 'Animals do not fly with us.');
