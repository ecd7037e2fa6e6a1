-- Something of everything that a backup has to bring back.
CREATE TABLE accounts (id INT AUTO_INCREMENT PRIMARY KEY, balance BIGINT NOT NULL) AUTO_INCREMENT = 100;
INSERT INTO accounts (balance) VALUES (1000), (1000), (1000), (1000);
CREATE TABLE bytes (id INT PRIMARY KEY, content LONGBLOB, bits BIT(12));
INSERT INTO bytes SELECT seq, CHAR(seq), seq * 16 FROM seq_0_to_255;
INSERT INTO bytes VALUES (256, REPEAT(UNHEX('000A0D1A5C27220900FF'), 3000000), NULL), (257, '', 0), (258, NULL, 4095);
CREATE TABLE texts (id INT PRIMARY KEY, text VARCHAR(200) COLLATE utf8mb4_bin, old VARCHAR(50) CHARACTER SET latin1);
INSERT INTO texts VALUES (1, '𝕬 grüße 学校 👩‍🏫', 'ação'), (2, 'a''b"c\\d\ne\rf\tg\0h\Zi', ''), (3, '-- Dump completed', NULL),
  (4, 'DELIMITER ;;\n\\q', 'x');
SET SESSION sql_mode = '';
CREATE TABLE times (id INT PRIMARY KEY, day DATE, moment DATETIME(6), stamp TIMESTAMP NULL, span TIME);
INSERT INTO times VALUES (1, '0000-00-00', '0000-00-00 00:00:00', '1970-01-01 12:00:01', '-838:59:59'),
  (2, '2024-00-15', '2026-11-22 03:00:00.123456', NULL, '12:00:00'), (3, '9999-12-31', NULL, '2038-01-01 00:00:00', NULL);
SET SESSION sql_mode = DEFAULT;
CREATE TABLE `a ``strange`` näme; --` (`from` INT PRIMARY KEY, amount DECIMAL(65, 30), ratio DOUBLE,
  twice INT AS (`from` * 2) STORED, document JSON, kind ENUM ('ä', 'b'), flags SET ('x', 'y'), place POINT);
INSERT INTO `a ``strange`` näme; --` (`from`, amount, ratio, document, kind, flags, place)
  VALUES (0, -0.000000000000000000000000000001, 1.7976931348623157e308, '{"a": [1, "ü"]}', 'ä', 'x,y', POINT(1, 2));
CREATE TABLE children (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES accounts (id) ON DELETE CASCADE);
INSERT INTO children VALUES (1, 101), (2, NULL);
CREATE TABLE nothing (id INT);
CREATE TABLE changes (id INT AUTO_INCREMENT PRIMARY KEY, account INT, difference BIGINT);
CREATE VIEW rich AS SELECT id, balance FROM accounts WHERE balance > 900;
CREATE VIEW richest AS SELECT MAX(balance) AS most FROM rich;
DELIMITER ;;
CREATE TRIGGER noted AFTER UPDATE ON accounts FOR EACH ROW BEGIN
  INSERT INTO changes (account, difference) VALUES (NEW.id, NEW.balance - OLD.balance);
END;;
CREATE PROCEDURE move(IN source INT, IN target INT, IN amount BIGINT) BEGIN
  START TRANSACTION;
  UPDATE accounts SET balance = balance - amount WHERE id = source;
  UPDATE accounts SET balance = balance + amount WHERE id = target;
  COMMIT;
END;;
CREATE FUNCTION total() RETURNS BIGINT READS SQL DATA RETURN (SELECT SUM(balance) FROM accounts);;
CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE COMMENT 'of ''old'' ones'
  DO BEGIN DELETE FROM changes WHERE id < 0; END;;
DELIMITER ;
