-- oldest-program: 0.1.0
-- Certificates by the million: a row of the usual size stays in one piece. Without this the server
-- tries to compress what does not shrink, and then puts it into a table beside, from where each
-- look at a certificate has to fetch it.

ALTER TABLE certificate SET (toast_tuple_target = 4080);
ALTER TABLE certificate ALTER COLUMN der SET STORAGE EXTERNAL;
