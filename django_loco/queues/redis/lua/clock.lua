-- Tells the time on the server's clock, in microseconds since 1970. Changes nothing.
--
-- Keys: see the first line; there is one only so that a cluster knows which server to ask.
return text(micros())
